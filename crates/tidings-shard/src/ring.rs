//! Many sends in one call to the system, by Linux's io_uring.
//!
//! Owned by the shard's system ([`tcp`](crate::tcp)), which does without where the kernel or a container
//! forbids it. The one module with `unsafe`: the kernel is given addresses of bytes. Refuses to keep
//! anything from one call to the next, so no address outlives its bytes.
#![expect(unsafe_code, reason = "entries of the ring hold addresses, which the compiler cannot follow")]

use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, Probe, opcode, squeue, types};
use rustix::net::SendFlags;

/// Sends that one call carries. Each takes 64 bytes of the ring, and two answers of 16 bytes.
const ENTRIES: usize = 256;

/// A send that would have to wait is refused instead: each is over before the call that carries it.
const FLAGS: i32 = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT).bits().cast_signed();

/// A ring, empty between calls.
pub(crate) struct Ring {
    ring: IoUring,
    entries: Vec<squeue::Entry>,
}

/// Sends that a ring is about to make; their bytes are borrowed until then.
pub(crate) struct Loaded<'ring, 'bytes> {
    ring: &'ring mut Ring,
    bytes: PhantomData<&'bytes [u8]>,
}

impl Ring {
    /// A ring.
    ///
    /// # Errors
    /// If the system does not let this process have one that can send.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::new(u32::try_from(ENTRIES).expect("a small number"))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Send::CODE) {
            return Err(ErrorKind::Unsupported.into());
        }
        Ok(Self { ring, entries: Vec::with_capacity(ENTRIES) })
    }

    /// Notes sends, each with the number under which it will be told what became of it.
    pub(crate) fn load<'bytes>(
        &mut self,
        sends: impl Iterator<Item = (usize, BorrowedFd<'bytes>, &'bytes [u8])>,
    ) -> Loaded<'_, 'bytes> {
        self.entries.clear();
        self.entries.extend(sends.map(|(number, socket, bytes)| {
            // What is longer is sent in part, as a full buffer would have it.
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), len)
                .flags(FLAGS)
                .build()
                .user_data(number as u64)
        }));
        Loaded { ring: self, bytes: PhantomData }
    }
}

impl Loaded<'_, '_> {
    /// Sends to each socket what it takes, and tells what became of it at the place that its number names.
    ///
    /// # Errors
    /// If the ring is broken and has to be dropped. What it refused was not sent, and its places are left
    /// as they were.
    pub(crate) fn send(self, told: &mut [io::Result<usize>]) -> io::Result<()> {
        let Ring { ring, entries } = self.ring;
        for entries in entries.chunks(ENTRIES) {
            // SAFETY: the kernel reads the bytes only before `send_loaded` returns, and until then they are
            // borrowed. A send that must not wait is over when the call that submits it returns; one that
            // was not submitted, because the ring is broken, never will be, as the ring is dropped then.
            unsafe { ring.submission().push_multiple(entries) }.expect("the ring is empty");
            send_loaded(ring, entries.len(), told)?;
        }
        Ok(())
    }
}

/// Submits until every one of `waiting` sends has been answered.
fn send_loaded(ring: &mut IoUring, mut waiting: usize, told: &mut [io::Result<usize>]) -> io::Result<()> {
    while waiting > 0 {
        let submitted = ring.submit();
        for answer in ring.completion() {
            let number = usize::try_from(answer.user_data()).expect("it was one");
            told[number] = outcome(answer.result());
            waiting -= 1;
        }
        match submitted {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The system's answer: a count, or a negative error.
fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A ring, if this machine lets us have one: the server does without as well.
    fn ring() -> Option<Ring> {
        Ring::new().inspect_err(|error| eprintln!("NOT TESTED: io_uring cannot be had here: {error}")).ok()
    }

    fn untold(count: usize) -> Vec<io::Result<usize>> {
        (0..count).map(|_| Err(ErrorKind::Other.into())).collect()
    }

    #[test]
    fn each_socket_gets_its_own_bytes_however_many_there_are() {
        let Some(mut ring) = ring() else { return };
        let pairs: Vec<_> = (0..2 * ENTRIES + 3).map(|_| UnixStream::pair().unwrap()).collect();
        for round in 0..3 {
            let texts: Vec<_> = (0..pairs.len()).map(|number| format!("{round} for {number}")).collect();
            let mut told = untold(pairs.len());
            let sends = pairs.iter().zip(&texts).enumerate();
            let sends = sends.map(|(number, ((near, _), text))| (number, near.as_fd(), text.as_bytes()));
            ring.load(sends).send(&mut told).unwrap();
            for (((_, far), text), told) in pairs.iter().zip(&texts).zip(&told) {
                let mut received = vec![0; text.len()];
                let mut far = far;
                far.read_exact(&mut received).unwrap();
                assert_eq!(received, text.as_bytes());
                assert_eq!(*told.as_ref().unwrap(), text.len());
            }
        }
    }

    #[test]
    fn a_full_a_closed_and_a_reading_peer_are_told_apart() {
        let Some(mut ring) = ring() else { return };
        let [full, closed, reading] = [(); 3].map(|()| UnixStream::pair().unwrap());
        // Blocking sockets: it is the send itself that must not wait.
        full.0.set_nonblocking(true).unwrap();
        let chunk = vec![0; 64 * 1024];
        while (&full.0).write(&chunk).is_ok() {}
        full.0.set_nonblocking(false).unwrap();
        drop(closed.1);
        let large = vec![7; 16 * 1024 * 1024];
        let mut told = untold(4);
        let sends = [(0, &full.0, &chunk), (1, &closed.0, &chunk), (3, &reading.0, &large)];
        let sends = sends.into_iter().map(|(number, socket, bytes)| (number, socket.as_fd(), &bytes[..]));
        ring.load(sends).send(&mut told).unwrap();
        assert_eq!(told[0].as_ref().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(told[1].as_ref().unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(told[2].as_ref().unwrap_err().kind(), ErrorKind::Other, "nobody has that number");
        let sent = *told[3].as_ref().unwrap();
        assert!(sent > 0 && sent < large.len(), "a buffer takes some, not {sent} bytes");
        let mut received = vec![0; sent];
        (&reading.1).read_exact(&mut received).unwrap();
        assert!(received.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn sends_that_were_noted_and_given_up_are_not_made_later() {
        let Some(mut ring) = ring() else { return };
        let (near, far) = UnixStream::pair().unwrap();
        let _ = ring.load([(0, near.as_fd(), &b"given up"[..])].into_iter());
        let mut told = untold(1);
        ring.load([(0, near.as_fd(), &b"meant"[..])].into_iter()).send(&mut told).unwrap();
        drop(near);
        let mut received = String::new();
        (&far).read_to_string(&mut received).unwrap();
        assert_eq!(received, "meant");
    }
}
