//! `docs/errors.md` says what the table of codes says.

use std::path::Path;

use tidings_protocol::codes::{self, CloseCode, ErrorCode};

/// Set to rewrite the page instead of comparing it.
const REWRITE: &str = "TIDINGS_REWRITE_DOCS";

#[test]
fn the_page_of_errors_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let wanted = codes::page();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::create_dir_all(path.parent().expect("the page is in a folder")).unwrap();
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == wanted, "docs/errors.md is stale: run {REWRITE}=1 cargo test -p tidings-protocol");
}

#[test]
fn every_code_is_found_by_what_is_on_the_wire() {
    for &code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_name(code.name()), Some(code));
    }
    for &code in CloseCode::ALL {
        assert_eq!(CloseCode::from_number(code.number()), Some(code));
    }
    assert_eq!(ErrorCode::from_name("no_such_code"), None);
    assert_eq!(CloseCode::from_number(1005), None);
}
