//! What happened last, told when a scenario fails.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher as _};

const LINES_MAX: usize = 40;
const DETAIL_CHARS_MAX: usize = 300;

/// See the module.
pub(super) struct Trace {
    seed: u64,
    lines: VecDeque<String>,
    hasher: DefaultHasher,
    /// Tells everything at once, and what is too much for other runs.
    is_loud: bool,
    /// What is seen is part of the fingerprint: it takes time to write it down.
    is_attentive: bool,
}

impl Trace {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            lines: VecDeque::with_capacity(LINES_MAX),
            hasher: DefaultHasher::new(),
            is_loud: false,
            is_attentive: false,
        }
    }

    pub(super) fn be_loud(&mut self) {
        self.is_loud = true;
    }

    pub(super) fn be_attentive(&mut self) {
        self.is_attentive = true;
    }

    /// What happens.
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let line = line();
        self.hasher.write(line.as_bytes());
        if self.is_loud {
            eprintln!("{line}");
        }
        self.lines.push_back(line);
    }

    /// What somebody sees, told only when loud.
    pub(super) fn detail(&mut self, line: impl Fn() -> String) {
        if self.is_attentive {
            self.hasher.write(line().as_bytes());
        }
        if self.is_loud {
            eprintln!("    {}", line().chars().take(DETAIL_CHARS_MAX).collect::<String>());
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines: String = self.lines.iter().map(|line| format!("  {line}\n")).collect();
            eprintln!(
                "seed {}: the last things that happened:\n{lines}again: cargo xtask sim --seed {}",
                self.seed, self.seed
            );
        }
    }
}
