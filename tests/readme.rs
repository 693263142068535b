//! The READMEs say what is so: its programs are those that the tests run, its settings exist, its files are there.
//!
//! A program in one that differs from its file is rewritten, and the test fails once.

use std::fs;
use std::path::{Path, PathBuf};
use x402::client::settings::SETTINGS;
use x402::protocol::Version;
use x402::scheme::supported;

const MARK: &str = "<!-- cut from ";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A line that is a comment and nothing else, in any language here: what it says.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim();
    let inside = line.strip_prefix("/*").and_then(|rest| rest.strip_suffix("*/"));
    inside.or_else(|| line.strip_prefix("//")).or_else(|| line.strip_prefix('#')).map(str::trim)
}

/// The lines between the comments `cut: name` and `end of cut`, without the indentation they share.
fn part(text: &str, name: &str) -> String {
    let mark = format!("cut: {name}");
    let after: Vec<&str> = text.lines().skip_while(|line| comment(line) != Some(&mark)).skip(1).collect();
    let end = after.iter().position(|line| comment(line) == Some("end of cut"));
    let lines = &after[..end.unwrap_or_else(|| panic!("the part {name} is not marked, or does not end"))];
    let indents = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
    let indent = indents.min().unwrap_or_default();
    lines.iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
}

/// A program without the comment at its head, which speaks to those who change it; of `file#name` a part.
fn program(path: &str) -> String {
    if let Some((path, name)) = path.split_once('#') {
        return part(&fs::read_to_string(root().join(path)).unwrap(), name);
    }
    let text = fs::read_to_string(root().join(path)).unwrap();
    match text.split_once("*/\n") {
        Some((head, rest)) if head.starts_with("/*") => rest.to_string(),
        _ => text,
    }
}

/// The README with every marked block replaced by what its file holds now.
fn refreshed(readme: &str) -> String {
    let mut out = String::new();
    let mut rest = readme;
    while let Some((before, after)) = rest.split_once(MARK) {
        let (path, after) = after.split_once(" -->\n").expect("a mark ends on its line");
        let (fence, after) = after.split_once('\n').expect("a fence follows the mark");
        let (_, after) = after.split_once("```\n").expect("the fence is closed");
        out += &format!("{before}{MARK}{path} -->\n{fence}\n{}```\n", program(path));
        rest = after;
    }
    out + rest
}

/// The root's, and one for each language in `bindings`.
fn readmes() -> Vec<PathBuf> {
    let mut all = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("bindings")).unwrap() {
        all.push(entry.unwrap().path().join("README.md"));
    }
    all.sort();
    all
}

#[test]
fn programs_are_cut_from_files_that_the_tests_run() {
    let mut rewritten = Vec::new();
    for path in readmes() {
        let readme = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(readme.contains(MARK), "{} has no program that is run", path.display());
        let fresh = refreshed(&readme);
        if fresh != readme {
            fs::write(&path, fresh).unwrap();
            rewritten.push(path);
        }
    }
    assert!(rewritten.is_empty(), "{rewritten:?} were out of date and are rewritten; look at them and run this again");
}

#[test]
fn settings_and_files_that_it_names_exist() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut settings = 0;
    for word in readme.split('`').skip(1).step_by(2) {
        let looks_like_a_setting =
            word.ends_with("_ms") || word.starts_with("replay_") || word.starts_with("max_redirects");
        if looks_like_a_setting {
            assert!(SETTINGS.iter().any(|setting| setting.key == word), "no setting is called {word}");
            settings += 1;
        }
        if word.starts_with("src/") || word.starts_with("tests/") {
            assert!(root().join(word).exists(), "{word} is not there");
        }
    }
    assert!(settings >= 5, "the table of limits was not found");
    for target in readme.lines().filter_map(|line| line.strip_prefix("make ")) {
        let name = target.split_whitespace().next().unwrap();
        let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
        assert!(makefile.contains(&format!("\n{name}:")), "make has no {name}");
    }
}

const SUPPORTED_HEAD: &str = "| x402 | scheme | chains | transfer method |\n| --- | --- | --- | --- |\n";

/// The table of what can be paid, as the code has it.
fn supported_table() -> String {
    let versions = |versions: &[Version]| match versions {
        [Version::V1] => "v1",
        [Version::V2] => "v2",
        _ => "v1 and v2",
    };
    let row = |way: &x402::scheme::Supported| {
        format!("| {} | `{}` | `{}` | {} |\n", versions(way.versions), way.scheme, way.family, way.method)
    };
    supported().iter().map(row).collect()
}

#[test]
fn the_table_of_what_is_supported_is_that_of_the_code() {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, table) = readme.split_once(SUPPORTED_HEAD).expect("the table is there");
    let (written, after) = table.split_once("\n\n").expect("a blank line ends the table");
    let fresh = supported_table();
    if format!("{written}\n") != fresh {
        fs::write(&path, format!("{before}{SUPPORTED_HEAD}{fresh}\n{after}")).unwrap();
        panic!("README.md was out of date and is rewritten; look at it and run this again");
    }
}
