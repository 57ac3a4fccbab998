//! A clock of a Redis server's own, which a test can set.
//!
//! `clock.c` is built by the C compiler that links Rust programs anyway. Refuses to change the time of anybody
//! else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// See the module. The file that says how far it is ahead lies in the server's directory.
pub(crate) struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock that is right.
    pub(crate) fn new(directory: &Path) -> Self {
        let clock = Self { file: directory.join("clock") };
        clock.set(0);
        clock
    }

    /// From now on the clock is so far ahead of the machine's, or behind.
    pub(crate) fn set(&self, ahead_s: i64) {
        let bytes = (ahead_s * 1_000_000).to_ne_bytes();
        // Written into the same file, which the server has mapped, with one call.
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.file);
        file.and_then(|mut file| file.write_all(&bytes)).expect("there is room for eight bytes");
    }

    /// What a process that is to have this clock has to be started with.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
        let (_, library) = LIBRARY.get_or_init(|| {
            let directory = tempfile::tempdir().expect("there is room for a directory");
            let library = directory.path().join("clock.so");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tidings-redis/tests/support/clock.c");
            let built =
                Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
            let built = built.expect("cc is missing: Rust needs it as well, to link");
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            (directory, library)
        });
        [("LD_PRELOAD", library.clone()), ("TEST_CLOCK", self.file.clone())]
    }
}
