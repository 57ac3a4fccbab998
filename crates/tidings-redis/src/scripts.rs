//! The scripts: each is one atomic step on keys of one tag.

use std::sync::LazyLock;

use redis::Cmd;

/// See the module; what each takes and gives is in its first lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Publish,
    Read,
    Watch,
    Summary,
    Lease,
    Stay,
    Roll,
    Bury,
    OnlineEnds,
    Typing,
    Typists,
    SessionKeep,
    SessionLeave,
    SessionClaim,
    SessionGive,
    SessionReap,
}

struct Texts {
    text: String,
    hash: String,
}

static TEXTS: LazyLock<[Texts; Script::ALL.len()]> = LazyLock::new(|| {
    let common = include_str!("scripts/common.lua");
    let people = include_str!("scripts/people.lua");
    [
        include_str!("scripts/publish.lua"),
        include_str!("scripts/read.lua"),
        include_str!("scripts/watch.lua"),
        include_str!("scripts/summary.lua"),
        include_str!("scripts/lease.lua"),
        &format!("{people}{}", include_str!("scripts/stay.lua")),
        &format!("{people}{}", include_str!("scripts/roll.lua")),
        &format!("{people}{}", include_str!("scripts/bury.lua")),
        include_str!("scripts/online_ends.lua"),
        include_str!("scripts/typing.lua"),
        include_str!("scripts/typists.lua"),
        include_str!("scripts/session_keep.lua"),
        include_str!("scripts/session_leave.lua"),
        include_str!("scripts/session_claim.lua"),
        include_str!("scripts/session_give.lua"),
        include_str!("scripts/session_reap.lua"),
    ]
    .map(|own| {
        let text = format!("{common}{own}");
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Texts { text, hash }
    })
});

impl Script {
    pub(crate) const ALL: [Self; 16] = [
        Self::Publish,
        Self::Read,
        Self::Watch,
        Self::Summary,
        Self::Lease,
        Self::Stay,
        Self::Roll,
        Self::Bury,
        Self::OnlineEnds,
        Self::Typing,
        Self::Typists,
        Self::SessionKeep,
        Self::SessionLeave,
        Self::SessionClaim,
        Self::SessionGive,
        Self::SessionReap,
    ];

    /// What the server is given to load.
    pub(crate) fn text(self) -> &'static str {
        &TEXTS[self as usize].text
    }

    /// A call of it with these keys; arguments follow.
    pub(crate) fn call(self, keys: &[String]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&TEXTS[self as usize].hash).arg(keys.len()).arg(keys);
        command
    }
}
