//! Marker: how far a ledger was seen to come: `1 {history} {height} {given-up history}…`, one line of text; `1?`
//! instead of `1` once an older copy was seen in the place of this very history.
//!
//! Owns the spelling. An unreadable text counts as no position and is replaced: only this program writes there.

use crate::domain::{HistoryPosition, Lineage};

const VERSION: &str = "1";
const DOUBTED: &str = "1?";

/// The text at a ledger's key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marker {
    /// How far the ledger was seen to come, if it was seen.
    pub position: Option<HistoryPosition>,
    /// Whether an older copy was seen in the place of its history: records may have been filled from it.
    doubted: bool,
    text: Option<Vec<u8>>,
}

impl Marker {
    pub(super) fn of(text: Option<Vec<u8>>) -> Self {
        let (position, doubted) = text.as_deref().and_then(parse).unzip();
        Self { position, doubted: doubted.unwrap_or_default(), text }
    }

    /// Whether an older copy was seen in this history's place.
    pub fn doubts(&self, history: Lineage) -> bool {
        self.doubted && self.position.as_ref().is_some_and(|position| position.lineage == history)
    }

    /// The text that a replacement expects; empty: none.
    pub(super) fn text(&self) -> &[u8] {
        self.text.as_deref().unwrap_or_default()
    }

    pub(super) fn text_of(position: &HistoryPosition, doubted: bool) -> Vec<u8> {
        let HistoryPosition { lineage, height, .. } = position;
        let version = if doubted { DOUBTED } else { VERSION };
        format!("{version} {lineage} {height} {}", position.ancestors_text()).trim_end().as_bytes().to_vec()
    }
}

fn parse(text: &[u8]) -> Option<(HistoryPosition, bool)> {
    let mut words = std::str::from_utf8(text).ok()?.splitn(4, ' ');
    let doubted = match words.next()? {
        VERSION => false,
        DOUBTED => true,
        _ => return None,
    };
    let (lineage, height) = (Lineage::parse(words.next()?)?, words.next()?.parse().ok()?);
    let ancestors = HistoryPosition::parse_ancestors(words.next().unwrap_or_default())?;
    Some((HistoryPosition { lineage, height, ancestors }, doubted))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::SystemRandom;

    #[test]
    fn a_marker_reads_back() {
        let name = || Lineage::generate(&SystemRandom);
        for ancestors in [vec![], vec![name()], vec![name(), name()]] {
            let position = HistoryPosition { lineage: name(), height: 42, ancestors };
            for doubted in [false, true] {
                let marker = Marker::of(Some(Marker::text_of(&position, doubted)));
                assert_eq!((marker.position, marker.doubted), (Some(position.clone()), doubted));
            }
        }
        let position = HistoryPosition::first(Lineage::parse("AQEBAQEBAQEBAQEBAQEBAQ").unwrap());
        assert_eq!(Marker::text_of(&position, false), b"1 AQEBAQEBAQEBAQEBAQEBAQ 0");
    }

    #[test]
    fn what_is_no_marker_shows_nothing_and_can_be_replaced() {
        for text in [
            "",
            "1",
            "2 AQEBAQEBAQEBAQEBAQEBAQ 0",
            "1 AQ 0",
            "1 AQEBAQEBAQEBAQEBAQEBAQ x",
            "1 AQEBAQEBAQEBAQEBAQEBAQ 0 x",
        ] {
            let marker = Marker::of(Some(text.as_bytes().to_vec()));
            assert_eq!((marker.position.as_ref(), marker.text()), (None, text.as_bytes()), "{text}");
        }
        assert_eq!(Marker::of(None), Marker::default());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in any::<Vec<u8>>()) {
            Marker::of(Some(text));
        }
    }
}
