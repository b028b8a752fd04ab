//! Whether everybody can use a page: axe-core's rules, all of them, on the page as it is shown.
//!
//! Owns the way to axe-core, which `tests/run` fetches. It comes in by WebDriver: no page of ours would let it in.

use std::fs;

use super::window::Window;

/// Where `tests/run` puts it.
const AXE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/axe-core/axe.min.js");

const RUN: &str = "
    return axe.run(document, { resultTypes: ['violations'], preload: false }).then(({ violations, passes }) => [
      passes.length,
      violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`)),
    ])";

/// Panics if axe-core finds anything.
pub async fn assert_accessible(window: &Window, page: &str) {
    if window.script("return typeof window.axe").await == "undefined" {
        let axe = fs::read_to_string(AXE).unwrap_or_else(|error| {
            panic!("this test needs axe-core at {AXE} ({error}): run tests/run, which fetches it with npm or says why it cannot")
        });
        window.script(&axe).await;
    }
    let found = window.script(RUN).await;
    assert!(found[0].as_u64().is_some_and(|rules| rules > 10), "{page}: axe has looked at nothing: {found}");
    let violations = found[1].as_array().expect("a list");
    assert!(violations.is_empty(), "{page}: {violations:#?}");
}
