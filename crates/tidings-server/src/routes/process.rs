//! What this process costs the machine, read from `/proc`.
//!
//! Read when someone asks for metrics. Refuses to guess: what cannot be read is left out.

/// One look at the process.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Process {
    /// User and system time.
    pub(super) cpu_seconds: Option<f64>,
    /// Physical memory in use.
    pub(super) resident_bytes: Option<u64>,
    /// Address space.
    pub(super) virtual_bytes: Option<u64>,
    /// File descriptors in use.
    pub(super) open_files: Option<u64>,
    /// File descriptors that may be used.
    pub(super) open_files_max: Option<u64>,
}

impl Process {
    /// Reads `/proc/self`.
    pub(super) fn read() -> Self {
        let text = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let open_files = std::fs::read_dir("/proc/self/fd").ok().and_then(|files| {
            // One of them is the folder itself.
            u64::try_from(files.count().saturating_sub(1)).ok()
        });
        let memory = text("status");
        Self {
            cpu_seconds: cpu_seconds(&text("stat")),
            resident_bytes: kibibytes(&memory, "VmRSS:"),
            virtual_bytes: kibibytes(&memory, "VmSize:"),
            open_files,
            open_files_max: open_files_max(&text("limits")),
        }
    }
}

/// All threads' time, in ticks, of which Linux shows 100 a second to user space.
fn cpu_seconds(stat: &str) -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    // The program's name, in parentheses, may itself hold blanks and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}

fn open_files_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) (b 1) S 1 7 7 0 -1 4194304 1 2 3 4 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn this_process_can_be_read() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 0), "{process:?}");
        assert!(process.open_files <= process.open_files_max, "{process:?}");
        assert!(process.cpu_seconds.is_some(), "{process:?}");
    }
}
