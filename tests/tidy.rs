//! The rules of the code, kept by a test: layers, sizes, heads, `unwrap`, `unsafe`.
//!
//! A rule that only reviewers keep is forgotten; each failure here names file, line and rule.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 125;

/// The layers, lowest first: a module may name modules of lower layers, its own, and nothing else.
const LAYERS: [(&str, u8); 13] = [
    ("error", 0),
    ("money", 1),
    ("world", 1),
    ("protocol", 2),
    ("wallet", 2),
    ("body", 2),
    ("transport", 2),
    ("scheme", 3),
    ("policy", 3),
    ("ledger", 3),
    ("payer", 4),
    ("client", 5),
    ("ffi", 6),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with("target") {
                rust_files(&path, out);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

struct Source {
    name: String,
    text: String,
}

fn sources(directories: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for directory in directories {
        rust_files(&root().join(directory), &mut files);
    }
    files.sort();
    assert!(files.len() > 10, "the tree was not found");
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    files.iter().map(|path| Source { name: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

fn check(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// What a build or an editor leaves is another matter: folders of builds, and names with a dot in front.
#[test]
fn nothing_strays_into_the_top_level() {
    const KNOWN: [&str; 14] = [
        "CHANGELOG.md",
        "CMakeLists.txt",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "Makefile",
        "README.md",
        "bindings",
        "build.rs",
        "include",
        "rustfmt.toml",
        "src",
        "tests",
    ];
    const LEFT_BY_BUILDS: [&str; 2] = ["build", "target"];
    let names = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strays = names.filter(|name| {
        !name.starts_with('.') && !KNOWN.contains(&name.as_str()) && !LEFT_BY_BUILDS.contains(&name.as_str())
    });
    check(strays.map(|name| format!("{name} does not belong beside Cargo.toml")).collect());
}

/// The top-level module that a file of `src` belongs to.
/// The benchmark's other side signs on Solana with what the library signs with, and not with an older version of it.
#[test]
fn the_benchmark_signs_with_the_library_s_versions() {
    let versions = |lock: &str| -> Vec<(String, String)> {
        let text = fs::read_to_string(root().join(lock)).unwrap();
        let value =
            |line: &str, name: &str| line.strip_prefix(name).map(|rest| rest.trim_matches([' ', '=', '"']).to_string());
        let lines: Vec<&str> = text.lines().collect();
        let pairs = lines.windows(2).filter_map(|pair| Some((value(pair[0], "name")?, value(pair[1], "version")?)));
        pairs.collect()
    };
    let ours = versions("Cargo.lock");
    let theirs = versions("tests/bench/ed25519/Cargo.lock");
    for name in ["ed25519-dalek", "curve25519-dalek", "sha2"] {
        let pair = theirs.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} is not in it"));
        assert!(ours.contains(pair), "{name} {} is none of the library's; update tests/bench/ed25519", pair.1);
    }
}

fn module_of(name: &str) -> Option<&str> {
    name.strip_prefix("src/").map(|rest| rest.split(['/', '.']).next().unwrap_or(""))
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == module).map(|(_, layer)| *layer)
}

/// The lines of a file before its unit tests.
fn product_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_test_file = source.name.ends_with("tests.rs") || source.name.contains("/tests/");
    let end = if is_test_file { Some(0) } else { source.text.find("\n#[cfg(test)]\nmod ") };
    source.text[..end.unwrap_or(source.text.len())].lines().enumerate().map(|(at, line)| (at + 1, line))
}

#[test]
fn imports_point_down_only() {
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let Some(module) = module_of(&source.name).filter(|module| *module != "lib") else { continue };
        let Some(layer) = layer_of(module) else {
            problems.push(format!("{}: the module {module} is in no layer", source.name));
            continue;
        };
        for (number, line) in product_lines(&source) {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used == module {
                    continue;
                }
                if let Some(used_layer) = layer_of(&used)
                    && used_layer >= layer
                {
                    problems.push(format!("{}:{number}: {module} must not name {used}", source.name));
                }
            }
        }
    }
    check(problems);
}

#[test]
fn files_have_a_head_and_a_size() {
    let mut problems = Vec::new();
    for source in sources(&["src", "tests"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", source.name));
        }
        if !source.text.starts_with("//!") {
            problems.push(format!("{}: no head that says what it owns", source.name));
        }
        for (at, line) in source.text.lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX && !line.contains("\", ") && !line.contains("http") {
                problems.push(format!("{}:{}: {} characters", source.name, at + 1, line.chars().count()));
            }
        }
    }
    check(problems);
}

#[test]
fn functions_fit_a_screen() {
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let mut open: Option<(usize, usize, String)> = None;
        for (number, line) in product_lines(&source) {
            let indent = line.len() - line.trim_start().len();
            let text = line.trim_start();
            let starts = text.starts_with("fn ") || text.contains(" fn ") && !text.starts_with("//");
            if open.is_none() && starts && !text.ends_with(';') && !text.ends_with('}') {
                open = Some((indent, number, text.to_string()));
            } else if let Some((at, start, signature)) = &open
                && indent == *at
                && text == "}"
            {
                if number - start + 1 > FUNCTION_LINES_MAX {
                    problems.push(format!("{}:{start}: {} lines: {signature}", source.name, number - start + 1));
                }
                open = None;
            }
        }
    }
    check(problems);
}

#[test]
fn nothing_panics_without_saying_why_it_cannot() {
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let mut before = ["", "", ""];
        for (number, line) in product_lines(&source) {
            let text = line.trim_start();
            let panics = [".unwrap()", ".expect(\"", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
            if !text.starts_with("//") && panics.iter().any(|call| text.contains(call)) {
                let said = before.iter().any(|line| line.trim_start().starts_with("// Invariant:"));
                if !said {
                    problems.push(format!("{}:{number}: no `// Invariant:` above: {text}", source.name));
                }
            }
            before = [before[1], before[2], line];
        }
    }
    check(problems);
}

#[test]
fn unsafe_stays_where_it_belongs_and_says_why_it_is_sound() {
    let allowed = ["src/ffi/", "src/transport/", "src/wallet/", "src/body/"];
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let mut commented = false;
        for (number, line) in product_lines(&source) {
            let text = line.trim_start();
            let block = !text.starts_with("//") && (text.contains("unsafe {") || text.contains("unsafe impl"));
            if block && !allowed.iter().any(|place| source.name.starts_with(place)) {
                problems.push(format!("{}:{number}: unsafe outside {allowed:?}", source.name));
            }
            if block && !commented {
                problems.push(format!("{}:{number}: no `// SAFETY:` above", source.name));
            }
            // A comment speaks for the statement below it, however many lines that has.
            commented = (text.starts_with("//") && (text.starts_with("// SAFETY:") || commented))
                || (commented && !text.is_empty() && !text.ends_with(';') && !text.ends_with('}'));
        }
    }
    check(problems);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let banned = ["TODO", "FIXME", "XXX", "HACK", "not implemented", "/root/", "/home/", "/work/"];
    let mut problems = Vec::new();
    for source in sources(&["src", "tests"]) {
        if source.name == "tests/tidy.rs" {
            continue;
        }
        for (at, line) in source.text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                problems.push(format!("{}:{}: {word}: {}", source.name, at + 1, line.trim()));
            }
        }
    }
    check(problems);
}
