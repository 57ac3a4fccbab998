//! Writes the table of the files in `web/`, so that the page travels inside the binary.
//!
//! Refuses folders and hidden files: the page is a flat list of files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub(crate) fn write() -> std::io::Result<()> {
    // Asked when it runs, not when it is compiled: two checkouts may share a target folder.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the crate's folder");
    let folder = Path::new(&here).join("../../web");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut table = String::from("&[");
    for path in files(&folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(table, "({name:?}, include_bytes!({:?}).as_slice()),", path.canonicalize()?)
            .expect("writing to a string succeeds");
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").expect("cargo names the folder for what is generated");
    std::fs::write(Path::new(&out).join("web.rs"), table)
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
