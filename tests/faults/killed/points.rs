//! Where the server is killed: every fault point of the sources, and the operations on whose way it is.
//!
//! Owns the table, and the test that it and the sources name the same points. What stands before the commit has not
//! happened when the server dies there; what stands after it has.

use std::collections::BTreeSet;
use std::path::Path;

use super::operations::Operation::{self, *};

/// One place to die at.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Its name in the sources.
    pub name: &'static str,
    /// Whether the transaction is committed there.
    pub committed: bool,
    /// Operations that come by. The ordinary run takes the first, the long one all.
    pub operations: &'static [Operation],
}

const fn before(name: &'static str, operations: &'static [Operation]) -> Point {
    Point { name, committed: false, operations }
}

const fn after(name: &'static str, operations: &'static [Operation]) -> Point {
    Point { name, committed: true, operations }
}

/// All of them.
pub const POINTS: &[Point] = &[
    before("sign-in: verified", &[SignIn]),
    before("sign-in: replaced session ended", &[SignIn]),
    before("sign-in: oldest session ended", &[SignIn]),
    before("sign-in: hash upgraded", &[SignIn]),
    before("sign-in: session inserted", &[SignIn]),
    before("sign-in: line written", &[SignIn]),
    after("sign-in: committed", &[SignIn]),
    before("end: rows ended", &[EndOthers, EndOne, SignOut, SignIn, ChangePassword]),
    before("end: invalidations added", &[EndOne, EndAll, SignOut, SignIn, Disable]),
    before("end: line written", &[EndAll, EndOne, EndOthers, SignIn, Reset, Matching]),
    after("revoke: committed", &[EndOne, SignOut]),
    after("end matching: committed", &[Matching]),
    after("end matching: page done", &[Matching]),
    before("revoke all: epoch raised", &[EndAll, EndOthers]),
    after("revoke all: committed", &[EndOthers, EndAll]),
    after("invalidate: deleted", &[EndOne, EndAll, SignIn, ChangePassword, Renew, Reauthenticate]),
    after("invalidate: may be removed", &[EndOthers, SignOut, SignIn, Reset]),
    after("invalidate: removed", &[SignOut, EndAll, SignIn, Disable]),
    after("invalidate: announced", &[EndAll, EndOne, SignOut, ChangePassword, Reset, Disable, Renew, Matching]),
    before("password: hashed", &[ChangePassword]),
    before("password: set", &[ChangePassword]),
    before("password: epoch raised", &[ChangePassword]),
    before("password: others ended", &[ChangePassword]),
    before("renewal: token renewed", &[Renew, ChangePassword, Reauthenticate]),
    before("renewal: invalidation added", &[ChangePassword, Renew, Reauthenticate]),
    before("renewal: line written", &[Reauthenticate, Renew, ChangePassword]),
    after("renewal: committed", &[ChangePassword, Renew, Reauthenticate]),
    before("step-up: judged", &[EndOthers, EndOne, Disable, Matching]),
    before("re-authentication: verified", &[Reauthenticate]),
    before("reset: link used", &[Reset]),
    before("reset: password set", &[Reset]),
    before("reset: epoch raised", &[Reset]),
    before("reset: sessions ended", &[Reset]),
    before("reset: line written", &[Reset]),
    after("reset: committed", &[Reset]),
    before("account: changed", &[Disable, Delete]),
    before("account: line written", &[Disable, Delete]),
    before("account: epoch raised", &[Disable, Delete]),
    before("account: sessions ended", &[Disable, Delete]),
    after("account: committed", &[Disable, Delete]),
    before("deletion: row emptied", &[Delete]),
    after("deletion: sessions invalidated", &[Delete]),
    after("deletion: some erased", &[Delete]),
    after("deletion: all erased", &[Delete]),
];

fn named_in(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            named_in(&path, names);
        } else {
            let source = std::fs::read_to_string(&path).expect("a source file");
            let calls = source.split("fault_point::reach(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
}

#[test]
fn the_table_names_every_fault_point_of_the_sources() {
    let mut named = Vec::new();
    named_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    // Those are on nobody's way without a webhook, or a copy that was put back: tests/webhook and `returned` die there.
    named.retain(|name| !name.starts_with("webhook: ") && !name.starts_with("look: "));
    let known: BTreeSet<_> = POINTS.iter().map(|point| point.name.to_owned()).collect();
    assert_eq!(known.len(), POINTS.len(), "a point stands in the table twice");
    assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(named.len(), known.len(), "two places have one name");
}
