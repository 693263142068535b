//! A JSON text, checked whole in one pass, with the place of every value in it.
//!
//! Owns the grammar (RFC 8259) and the bound on depth. Must not know any field. Values stay the text that
//! they were, because offers are echoed byte for byte and because what is never looked at need not be
//! built; the places are kept so that no part of a text is scanned twice.

use super::limits::JSON_DEPTH_MAX;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Values are rarely shorter than this, so that the list of places is seldom moved while it grows.
const VALUE_BYTES_TYPICAL: usize = 8;

/// A checked text and the places of its values, each before what it holds.
pub(super) struct Document<'a> {
    text: &'a str,
    places: Vec<Place>,
}

/// Where a value, or the name of a member, stands.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    end: u32,
    /// The first place behind everything that this value holds.
    next: u32,
    /// A string that holds escapes: what it stands for is not what is written.
    is_escaped: bool,
}

/// One value of a document.
#[derive(Clone, Copy)]
pub(super) struct Json<'d> {
    document: &'d Document<'d>,
    at: u32,
}

/// Why a text is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Syntax,
    /// More than [`JSON_DEPTH_MAX`] objects and arrays inside each other.
    TooDeep,
}

impl<'a> Document<'a> {
    pub fn read(text: &'a str) -> Result<Document<'a>, Unreadable> {
        if u32::try_from(text.len()).is_err() {
            return Err(Unreadable::Syntax);
        }
        let mut scan =
            Scan { bytes: text.as_bytes(), at: 0, places: Vec::with_capacity(text.len() / VALUE_BYTES_TYPICAL + 1) };
        scan.skip_blanks();
        scan.value(0)?;
        scan.skip_blanks();
        if scan.at != text.len() {
            return Err(Unreadable::Syntax);
        }
        Ok(Document { text, places: scan.places })
    }

    pub fn root(&self) -> Json<'_> {
        Json { document: self, at: 0 }
    }
}

impl<'d> Json<'d> {
    /// As it stands in the document, without blanks around it.
    pub fn text(self) -> &'d str {
        let place = self.place();
        self.document.text.get(place.start as usize..place.end as usize).unwrap_or_default()
    }

    /// What an array holds; for an object, names and values in turn.
    pub fn children(self) -> impl Iterator<Item = Json<'d>> {
        let end = self.place().next;
        let first = Some(self.at + 1).filter(|at| *at < end);
        let following = move |child: &Json<'d>| Some(child.place().next).filter(|at| *at < end);
        let document = self.document;
        std::iter::successors(first.map(|at| Json { document, at }), move |child| {
            following(child).map(|at| Json { document, at })
        })
    }

    /// The members of an object, names as they stand, quotes included.
    pub fn members(self) -> impl Iterator<Item = (Json<'d>, Json<'d>)> {
        let mut children = self.children();
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The text that a string stands for; `None` for what is no string, or names half a surrogate pair.
    pub fn unquoted(self) -> Option<Cow<'d, str>> {
        let text = self.text();
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        if self.place().is_escaped {
            return serde_json::from_str(text).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(inner))
    }

    /// A copy that outlives the document, for an echo.
    pub fn to_raw(self) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(self.text().to_owned())
    }

    fn place(self) -> Place {
        // Invariant: `at` comes from the document's own list, so the place is there.
        self.document.places.get(self.at as usize).copied().unwrap_or(Place {
            start: 0,
            end: 0,
            next: 0,
            is_escaped: false,
        })
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    places: Vec<Place>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, literal: &[u8]) -> Result<(), Unreadable> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal) {
            return Err(Unreadable::Syntax);
        }
        self.at += literal.len();
        Ok(())
    }

    /// Reads one value that begins here, inside of `depth` others.
    fn value(&mut self, depth: usize) -> Result<(), Unreadable> {
        let opened = self.open();
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => self.object(depth + 1)?,
            Some(b'[') => self.array(depth + 1)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.expect(b"true")?,
            Some(b'f') => self.expect(b"false")?,
            Some(b'n') => self.expect(b"null")?,
            _ => return Err(Unreadable::Syntax),
        }
        self.close(opened);
        Ok(())
    }

    // Casts: `read` has made sure that the text's length, and with it every place in it, fits.
    fn open(&mut self) -> usize {
        self.places.push(Place { start: self.at as u32, end: 0, next: 0, is_escaped: false });
        self.places.len() - 1
    }

    fn close(&mut self, opened: usize) {
        let (end, next) = (self.at as u32, self.places.len() as u32);
        if let Some(place) = self.places.get_mut(opened) {
            (place.end, place.next) = (end, next);
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Unreadable> {
        if self.enters_empty(depth, b'}')? {
            return Ok(());
        }
        loop {
            let opened = self.open();
            self.string()?;
            self.close(opened);
            self.skip_blanks();
            self.expect(b":")?;
            self.skip_blanks();
            self.value(depth)?;
            if self.is_last(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Unreadable> {
        if self.enters_empty(depth, b']')? {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.is_last(b']')? {
                return Ok(());
            }
        }
    }

    /// Passes the opening bracket; whether the closing one follows at once, and is passed too.
    fn enters_empty(&mut self, depth: usize, closing: u8) -> Result<bool, Unreadable> {
        if depth > JSON_DEPTH_MAX {
            return Err(Unreadable::TooDeep);
        }
        self.at += 1;
        self.skip_blanks();
        let is_empty = self.peek() == Some(closing);
        self.at += usize::from(is_empty);
        Ok(is_empty)
    }

    /// Passes a closing bracket (true) or a comma (false), and the blanks around it.
    fn is_last(&mut self, closing: u8) -> Result<bool, Unreadable> {
        self.skip_blanks();
        match self.peek() {
            Some(byte) if byte == closing => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                self.skip_blanks();
                Ok(false)
            }
            _ => Err(Unreadable::Syntax),
        }
    }

    fn string(&mut self) -> Result<(), Unreadable> {
        self.expect(b"\"")?;
        loop {
            self.at += plain_bytes(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.escape()?;
                    // The string was opened last.
                    if let Some(place) = self.places.last_mut() {
                        place.is_escaped = true;
                    }
                }
                _ => return Err(Unreadable::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        self.at += 1;
        let digits = match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(Unreadable::Syntax),
        };
        self.at += 1;
        let hex = self.bytes.get(self.at..self.at + digits).ok_or(Unreadable::Syntax)?;
        self.at += digits;
        if hex.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(Unreadable::Syntax) }
    }

    fn number(&mut self) -> Result<(), Unreadable> {
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// At least one.
    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unreadable::Syntax) }
    }
}

/// How many bytes from the start stand for themselves inside a string: neither a quote, nor a backslash, nor a
/// control character. Eight at a time, because most of a challenge is inside strings.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const WORD_BYTES: usize = 8;
    // The high bit of each byte that is less than `limit` (at most 0x80). A borrow can mark a byte behind a true
    // one, never one before it: the first mark is exact.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quotes = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslashes = less(word ^ (ONES * u64::from(b'\\')), 1);
        let marks = quotes | backslashes | less(word, 0x20);
        if marks != 0 {
            return at * WORD_BYTES + marks.trailing_zeros() as usize / 8;
        }
    }
    let whole = words.len() * WORD_BYTES;
    let rest = bytes.get(whole..).unwrap_or_default();
    whole + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    fn is_read(text: &str) -> bool {
        match Document::read(text) {
            Ok(document) => {
                assert_eq!(document.root().text(), text.trim_matches([' ', '\n', '\t', '\r']));
                true
            }
            Err(_) => false,
        }
    }

    /// Another parser is the oracle: of texts that differ from a good one in a few bytes, the same are read.
    #[test]
    fn exactly_json_is_read() {
        let seeds = [
            r#" {"a":[1,-0.5e+3,{"b\u00e9\n":null,"":true}], "c" : "x\"y\\" ,"d":false,"e":[],"f":{}} "#,
            r#"[0,-0,10,1.25,1E5,2e-7,"\u12aB","é€","/\/\b\f\n\r\t"]"#,
            r#""just text""#,
            "12",
            "null",
        ];
        let alphabet = b"{}[],:\"\\ 0123456789-+.eEutrfalsnbx/\n\t\x01\x7f";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let (mut read, mut refused) = (0, 0);
        for round in 0..60_000 {
            let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
            for _ in 0..round % 4 {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = alphabet[random(alphabet.len())],
                    1 => bytes.insert(at, alphabet[random(alphabet.len())]),
                    _ if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let expected = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            assert_eq!(is_read(&text), expected, "{text}");
            if expected { read += 1 } else { refused += 1 }
        }
        assert!(read > 15_000 && refused > 15_000, "{read} read, {refused} refused");
    }

    #[test]
    fn values_are_found_where_they_stand() {
        let document = Document::read(r#" { "a" : [ 1 , {"x":[]} ] , "b\u0041" : "t" , "c":{} } "#).unwrap();
        let members: Vec<_> = document.root().members().map(|(name, value)| (name.unquoted(), value.text())).collect();
        let expected = [("a", r#"[ 1 , {"x":[]} ]"#), ("bA", r#""t""#), ("c", "{}")];
        assert_eq!(members, expected.map(|(name, value)| (Some(Cow::Borrowed(name)), value)));
        let (_, array) = document.root().members().next().unwrap();
        assert_eq!(array.children().map(Json::text).collect::<Vec<_>>(), ["1", r#"{"x":[]}"#]);
        assert_eq!(document.root().children().count(), 6);
        assert_eq!(Document::read("[]").unwrap().root().children().count(), 0);
        assert_eq!(Document::read(r#""\ud800""#).unwrap().root().unquoted(), None);
    }

    #[test]
    fn a_string_ends_where_its_first_odd_byte_is() {
        for odd in 0..=255_u8 {
            for other in [b'a', b'"', 0x1f, 0x80, 0xff] {
                for length in 0..20 {
                    let mut bytes = vec![b' '; 20];
                    (bytes[length], bytes[19]) = (odd, other);
                    let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
                    let expected = bytes.iter().take_while(|byte| plain(byte)).count();
                    assert_eq!(plain_bytes(&bytes), expected, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Document::read(&nested(JSON_DEPTH_MAX)).is_ok());
        assert_eq!(Document::read(&nested(JSON_DEPTH_MAX + 1)).err(), Some(Unreadable::TooDeep));
        assert_eq!(Document::read(&"[".repeat(1 << 20)).err(), Some(Unreadable::TooDeep));
    }
}
