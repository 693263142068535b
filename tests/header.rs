//! `include/x402.h` against the code: it is what cbindgen writes today, its numbers are the library's, every C and C++
//! compiles it, and the shared object exports its functions and nothing else.
//!
//! The header is committed, because a C programmer reads it before anything is built. When it differs from the code,
//! the first test here writes the new one and fails: look at the difference, commit it, run again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use x402::error::Status;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// In the order of a program that uses them: versions and errors, then wallet to payment.
const NOUNS: [&str; 14] = [
    "status", "version", "error", "wallet", "policy", "ledger", "log", "config", "client", "request", "response",
    "payment", "queue", "text",
];

fn header_path() -> PathBuf {
    Path::new(ROOT).join("include/x402.h")
}

fn committed() -> String {
    std::fs::read_to_string(header_path()).expect("include/x402.h is committed")
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(Path::new(ROOT).join("include/cbindgen.toml")).expect("cbindgen.toml");
    config.header = config.header.as_deref().map(fill);
    config.after_includes = config.after_includes.as_deref().map(fill);
    let mut builder = cbindgen::Builder::new().with_config(config);
    for noun in NOUNS {
        builder = builder.with_src(Path::new(ROOT).join(format!("src/ffi/{noun}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads src/ffi").write(&mut text);
    joined(&String::from_utf8(text).expect("a header is text"))
}

/// Puts the facts of this build where cbindgen.toml left room for them.
fn fill(text: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut parts = version.split(['.', '-', '+']);
    let mut text = text.replace("{version}", version);
    for name in ["{major}", "{minor}", "{patch}"] {
        text = text.replace(name, parts.next().expect("a version has three parts"));
    }
    text.replace("{abi}", &x402::ffi::version::x402_abi_version().to_string()).replace("{settings}", &settings())
}

/// The table of settings: what x402_config_set and x402_request_set take.
fn settings() -> String {
    const WIDTH_MAX: usize = 108;
    let mut out = String::from(
        " *\n * Settings, for x402_config_set; those marked * also for x402_request_set. Values are text.\n",
    );
    for setting in x402::client::settings::SETTINGS {
        let mark = if setting.per_request { "*" } else { " " };
        let default = if setting.default.is_empty() { "empty".to_owned() } else { format!("\"{}\"", setting.default) };
        out.push_str(&format!(" *  {mark} {:<24}{}; default {default}\n", setting.key, setting.form));
        let mut line = String::new();
        for word in setting.meaning.split(' ') {
            if line.len() + word.len() + 33 > WIDTH_MAX {
                out.push_str(&format!(" *  {:26}{line}\n", ""));
                line.clear();
            }
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
        out.push_str(&format!(" *  {:26}{line}\n", ""));
    }
    out
}

/// cbindgen puts X402_API on a line of its own before a long declaration; one line reads better and is easier to find.
fn joined(header: &str) -> String {
    const PREFIX: &str = "X402_API ";
    let mut out = String::new();
    let mut moved = false;
    for line in header.lines() {
        if line == PREFIX.trim_end() {
            moved = true;
            out.push_str(PREFIX);
            continue;
        }
        if moved && line.starts_with(' ') {
            out.push_str(&" ".repeat(PREFIX.len()));
        }
        moved &= !line.ends_with(';');
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[test]
fn the_committed_header_is_what_the_code_says() {
    let fresh = generated();
    if std::fs::read_to_string(header_path()).ok().as_deref() != Some(fresh.as_str()) {
        std::fs::write(header_path(), &fresh).expect("include/ can be written");
        panic!("include/x402.h differed from src/ffi and was rewritten: review it with git diff and commit it");
    }
}

/// Names of the functions the header declares.
fn declared() -> BTreeSet<String> {
    committed()
        .lines()
        .filter(|line| line.starts_with("X402_API "))
        .map(|line| {
            let before = line.split('(').next().unwrap_or_default();
            before.rsplit([' ', '*']).next().unwrap_or_default().to_owned()
        })
        .collect()
}

#[test]
fn numbers_in_the_header_are_those_of_the_library() {
    let text = committed();
    let shown: Vec<(String, i32)> = text
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').split_once(" = "))
        .filter(|(name, _)| ["X402_OK", "X402_AGAIN"].contains(name) || name.starts_with("X402_ERROR_"))
        .map(|(name, number)| (name.to_owned(), number.parse().expect("a number")))
        .collect();
    let known: Vec<(String, i32)> =
        Status::ALL.iter().map(|(status, name)| ((*name).to_owned(), *status as i32)).collect();
    assert_eq!(shown, known);
    use x402::error::Money;
    let money = [
        ("X402_MONEY_NONE", Money::None),
        ("X402_MONEY_REFUSED", Money::Refused),
        ("X402_MONEY_UNPAID", Money::Unpaid),
        ("X402_MONEY_PAID", Money::Paid),
        ("X402_MONEY_UNKNOWN", Money::Unknown),
    ];
    for (name, number) in money {
        assert!(text.contains(&format!("{name} = {},", number as i32)), "{name}");
    }
    assert!(text.contains("typedef int32_t x402_status;") && text.contains("typedef int32_t x402_money;"));
}

#[test]
fn every_function_is_there_and_documented() {
    let declared = declared();
    assert!(declared.len() > 50, "{declared:?}");
    let text = committed();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.starts_with("X402_API ") {
            assert_eq!(lines[index - 1].trim(), "*/", "no comment above: {line}");
        }
    }
    let mut written = BTreeSet::new();
    for entry in std::fs::read_dir(Path::new(ROOT).join("src/ffi")).expect("src/ffi") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("source");
            for part in source.split("#[unsafe(no_mangle)]\n").skip(1) {
                let (_, rest) = part.split_once("extern \"C\" fn ").expect("an entry follows no_mangle");
                written.insert(rest.split('(').next().unwrap_or_default().to_owned());
            }
        }
    }
    assert_eq!(declared, written, "header and source differ; is the file in NOUNS?");
}

#[test]
fn every_function_is_used_rightly_and_wrongly_in_c() {
    let read = |name: &str| std::fs::read_to_string(Path::new(ROOT).join("tests/c").join(name)).expect(name);
    let calls = |text: &str, name: &str| text.contains(&format!("{name}("));
    let programs = [
        "calls.c",
        "curl_pay.c",
        "errors.c",
        "keys.c",
        "ledger.c",
        "reading.c",
        "threads.c",
        "queue.c",
        "queue_fork.c",
    ];
    let shared = ["queue_loop.h", "setup.h", "check.h"];
    let rightly = programs.iter().chain(&shared).map(|name| read(name)).collect::<String>();
    let wrongly = read("misuse.c");
    // These take nothing that could be wrong.
    let cannot_be_misused = ["x402_version", "x402_abi_version", "x402_live_handles"];
    for name in declared() {
        assert!(calls(&rightly, &name), "no C test uses {name} as it is meant");
        assert!(calls(&wrongly, &name) || cannot_be_misused.contains(&name.as_str()), "no C test misuses {name}");
    }
}

fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    directory
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_c_and_cpp_compiles_it_alone_and_twice() {
    const WARNINGS: [&str; 6] = ["-Wall", "-Wextra", "-Wpedantic", "-Wcast-qual", "-Wstrict-prototypes", "-Werror"];
    let directory = scratch("header");
    let once = "#include \"x402.h\"\n";
    for (extension, compiler, standards) in
        [("c", "cc", &["c99", "c11", "c17", "c2x"][..]), ("cpp", "c++", &["c++17", "c++20"][..])]
    {
        for (name, text) in [("alone", once.to_owned()), ("twice", once.repeat(2))] {
            let source = directory.join(format!("{name}.{extension}"));
            let main = if name == "twice" { "int main(void) { return (int)sizeof(x402_status) - 4; }\n" } else { "" };
            std::fs::write(&source, text + main).expect("a source file");
            for standard in standards {
                let warnings = WARNINGS.iter().filter(|flag| extension == "c" || **flag != "-Wstrict-prototypes");
                run(Command::new(compiler)
                    .args(warnings)
                    .arg(format!("-std={standard}"))
                    .args(["-fsyntax-only", "-I"])
                    .arg(Path::new(ROOT).join("include"))
                    .arg(&source));
            }
        }
    }
    // Two files of one program, linked: nothing in the header defines anything.
    for (extension, compiler) in [("c", "cc"), ("cpp", "c++")] {
        let linked = directory.join(format!("linked-{extension}"));
        run(Command::new(compiler)
            .arg("-I")
            .arg(Path::new(ROOT).join("include"))
            .args([directory.join(format!("alone.{extension}")), directory.join(format!("twice.{extension}"))])
            .arg("-o")
            .arg(&linked));
        run(&mut Command::new(&linked));
    }
}

/// The shared object that cargo built for this very test run lies beside its dependencies.
fn shared_object() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    [test.parent()?.join("libx402.so"), test.parent()?.parent()?.join("libx402.so")]
        .into_iter()
        .find(|path| path.exists())
}

#[test]
#[cfg(target_os = "linux")]
fn the_shared_object_exports_the_header_and_nothing_else() {
    let library = shared_object().expect("cargo builds the cdylib with the tests");
    let listing = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(&library));
    let exported: BTreeSet<String> =
        listing.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(exported, declared(), "{}", library.display());
}

#[test]
#[cfg(target_os = "linux")]
fn the_shared_object_has_its_soname_and_stays_loaded() {
    let library = shared_object().expect("cargo builds the cdylib with the tests");
    let dynamic = run(Command::new("readelf").args(["-d", "-W"]).arg(&library));
    let soname = format!("Library soname: [libx402.so.{}]", x402::ffi::version::x402_abi_version());
    assert!(dynamic.contains(&soname), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}
