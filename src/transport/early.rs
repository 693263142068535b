//! Reading the beginning of an answer before anyone has asked for it.
//!
//! Owns the one question that is asked of bytes that arrive while a request is still going out: is this a
//! final answer, an interim one, or no HTTP at all? Knows no sockets. It looks at the status line alone and is
//! as lenient as the parser behind it, so that a verdict here never contradicts the one there.

/// What stands at the beginning of the bytes received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Too little to tell.
    Incomplete,
    /// A 1xx answer of this many bytes, blank line included (RFC 9110 §15.2). 101 counts as final.
    Interim { status: u16, bytes: usize },
    /// An answer that ends the exchange.
    Final { status: u16 },
    /// Not an HTTP/1.x answer.
    Garbage,
}

/// Bytes of `HTTP/1.1 200`.
const STATUS_LINE_BYTES_MIN: usize = 12;
const SWITCHING_PROTOCOLS: u16 = 101;

/// Answers from here on end an upload; a smaller final status may come from a server that echoes while it
/// reads, so the upload goes on.
pub(super) const STOPPING_STATUS_MIN: u16 = 300;

pub(super) fn scan(input: &[u8]) -> Scan {
    // Empty lines before a status line are allowed for (RFC 9112 §2.2).
    let skipped = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = input.get(skipped..).unwrap_or_default();
    let start = line.get(..STATUS_LINE_BYTES_MIN).unwrap_or(line);
    if !could_be_status_line(start) {
        return Scan::Garbage;
    }
    if start.len() < STATUS_LINE_BYTES_MIN {
        return Scan::Incomplete;
    }
    let status = start.iter().skip(9).fold(0_u16, |status, digit| status * 10 + u16::from(digit - b'0'));
    if !(100..200).contains(&status) || status == SWITCHING_PROTOCOLS {
        return Scan::Final { status };
    }
    match head_bytes(line) {
        Some(bytes) => Scan::Interim { status, bytes: skipped + bytes },
        None => Scan::Incomplete,
    }
}

fn could_be_status_line(start: &[u8]) -> bool {
    start.iter().enumerate().all(|(index, byte)| match index {
        0..=6 => b"HTTP/1.".get(index) == Some(byte),
        7 => matches!(byte, b'0' | b'1'),
        8 => *byte == b' ',
        _ => byte.is_ascii_digit(),
    })
}

/// The length of a head with its blank line; a lone LF ends a line too.
fn head_bytes(input: &[u8]) -> Option<usize> {
    let mut line_is_empty = false;
    for (index, byte) in input.iter().enumerate() {
        match byte {
            b'\n' if line_is_empty => return Some(index + 1),
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_four_cases_apart_at_every_length() {
        let answer = b"HTTP/1.1 402 Payment Required\r\n\r\n";
        for length in 0..12 {
            assert_eq!(scan(&answer[..length]), Scan::Incomplete, "{length}");
        }
        for length in 12..answer.len() {
            assert_eq!(scan(&answer[..length]), Scan::Final { status: 402 });
        }
        assert_eq!(scan(b"\r\nHTTP/1.0 200 OK\r\n"), Scan::Final { status: 200 });
        assert_eq!(scan(b"HTTP/1.1 101 Switching"), Scan::Final { status: 101 });
        for garbage in [&b"SSH-2.0"[..], b"HTTP/2.0 200", b"HTTP/1.1  200", b"HTTP/1.1 4x2", b"\x16\x03"] {
            assert_eq!(scan(garbage), Scan::Garbage, "{garbage:?}");
        }
    }

    #[test]
    fn an_interim_answer_ends_with_its_blank_line() {
        let both = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 402 Payment Required\r\n";
        assert_eq!(scan(both), Scan::Interim { status: 100, bytes: 25 });
        assert_eq!(scan(&both[25..]), Scan::Final { status: 402 });
        assert_eq!(scan(&both[..24]), Scan::Incomplete);
        let hints = b"HTTP/1.1 103 Early Hints\nlink: </a>\n\nHTTP";
        assert_eq!(scan(hints), Scan::Interim { status: 103, bytes: 37 });
    }
}
