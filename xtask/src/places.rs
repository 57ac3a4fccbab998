//! Where things are: the repository and the folders under `target/` that this tool fills. It owns the layout, and refuses to
//! put anything into the source tree.

use std::path::{Path, PathBuf};

/// The root of the repository: the folder above this crate.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in a folder of the repository").to_path_buf()
}

/// Where cargo builds, and where all that this tool downloads or writes is kept.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => repository().join(folder),
        None => repository().join("target"),
    }
}

/// The built `tidings` binary of a cargo profile (`debug` or `release`).
pub(crate) fn tidings_binary(profile_folder: &str) -> PathBuf {
    target().join(profile_folder).join("tidings")
}

/// A path as a word of a command line.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the path of the repository is valid UTF-8")
}
