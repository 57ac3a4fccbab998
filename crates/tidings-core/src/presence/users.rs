//! The users of one room, in the order of their ids.
//!
//! Owned by the room. Most rooms have a handful of users, many a single one: those are kept in a
//! sorted list, because the smallest tree takes ten times the memory of one user.

use std::collections::BTreeMap;
use std::ops::Bound;

use tidings_protocol::UserId;

use super::person::Stay;

/// Users up to which inserting into a list costs no more than into a tree.
const LIST_MAX: usize = 16;

/// Below what makes it a tree, so that a user who comes and goes does not copy the room each time.
const TREE_MIN: usize = 8;

// Of these there is one per user and room on the node.
const _: () = assert!(size_of::<(UserId, Stay)>() <= 32);

pub(super) enum Users {
    List(Vec<(UserId, Stay)>),
    Tree(BTreeMap<UserId, Stay>),
}

impl Users {
    pub(super) const fn new() -> Self {
        Self::List(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    pub(super) fn get_mut(&mut self, user: &UserId) -> Option<&mut Stay> {
        match self {
            Self::List(list) => place(list, user).ok().map(|place| &mut list[place].1),
            Self::Tree(tree) => tree.get_mut(user),
        }
    }

    pub(super) fn get(&self, user: &UserId) -> Option<Stay> {
        match self {
            Self::List(list) => place(list, user).ok().map(|place| list[place].1),
            Self::Tree(tree) => tree.get(user).copied(),
        }
    }

    pub(super) fn each(&self, mut visit: impl FnMut(&UserId)) {
        match self {
            Self::List(list) => list.iter().for_each(|(user, _)| visit(user)),
            Self::Tree(tree) => tree.keys().for_each(visit),
        }
    }

    /// Adds a user who is not there.
    pub(super) fn insert(&mut self, user: UserId, stay: Stay) {
        match self {
            Self::List(list) if list.len() < LIST_MAX => {
                let Err(place) = place(list, &user) else { return };
                if list.is_empty() {
                    // A list grows to four at once, which most rooms of one user never need.
                    list.reserve_exact(1);
                }
                list.insert(place, (user, stay));
            }
            Self::List(list) => {
                let mut tree: BTreeMap<_, _> = std::mem::take(list).into_iter().collect();
                tree.insert(user, stay);
                *self = Self::Tree(tree);
            }
            Self::Tree(tree) => {
                tree.insert(user, stay);
            }
        }
    }

    pub(super) fn remove(&mut self, user: &UserId) {
        match self {
            Self::List(list) => {
                if let Ok(place) = place(list, user) {
                    list.remove(place);
                }
            }
            Self::Tree(tree) => {
                tree.remove(user);
                if tree.len() < TREE_MIN {
                    *self = Self::List(std::mem::take(tree).into_iter().collect());
                }
            }
        }
    }

    /// The users after an id with their connections, at most `users_max`, and whether that is all.
    pub(super) fn page(&self, after: Option<&UserId>, users_max: usize) -> (Vec<(UserId, u32)>, bool) {
        match self {
            Self::List(list) => {
                let skipped = after.map_or(0, |after| list.partition_point(|(user, _)| user <= after));
                page(list[skipped..].iter().map(|(user, stay)| (user, stay)), users_max)
            }
            Self::Tree(tree) => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                page(tree.range::<UserId, _>((from, Bound::Unbounded)), users_max)
            }
        }
    }
}

/// Where a user is, or else belongs.
fn place(list: &[(UserId, Stay)], user: &UserId) -> Result<usize, usize> {
    list.binary_search_by(|(other, _)| other.cmp(user))
}

fn page<'a>(
    mut rest: impl Iterator<Item = (&'a UserId, &'a Stay)>,
    users_max: usize,
) -> (Vec<(UserId, u32)>, bool) {
    let users =
        rest.by_ref().take(users_max).map(|(user, stay)| (user.clone(), stay.connections())).collect();
    (users, rest.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::user;

    #[test]
    fn a_room_that_grows_and_shrinks_lists_everyone_once_and_in_order() {
        let mut users = Users::new();
        // Seven is prime to 40, so this is every number once, in no order.
        let ids = (0..40).map(|i| user(&format!("user-{:02}", i * 7 % 40)));
        for id in ids.clone() {
            users.insert(id, Stay::FIRST);
        }
        let mut expected: Vec<_> = ids.clone().map(|id| (id, 1)).collect();
        expected.sort();
        for gone in ids {
            assert_eq!(users.page(None, 40), (expected.clone(), true));
            let (first, rest) = (expected[0].0.clone(), expected[1..].to_vec());
            assert_eq!(users.page(Some(&first), 40), (rest, true));
            users.remove(&gone);
            expected.retain(|(id, _)| *id != gone);
            assert_eq!(users.len(), expected.len());
            assert!(users.get_mut(&gone).is_none());
        }
        assert!(matches!(users, Users::List(list) if list.is_empty()));
    }
}
