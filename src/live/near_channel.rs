//! Near channel: how a node that ends a session asks the others to drop their copies, and how they answer.
//!
//! Owns the messages of the channels: `near:drop`, which every node with copies hears, and `near:ack:{node}`, which
//! only the asking node hears, so that a hundred answers are not delivered to a hundred nodes; and `near:echo:{node}`, on
//! which a node hears itself. A message carries token
//! hashes, never a token. Must never answer for a node: the service does so after it has dropped the copies.

use std::sync::Arc;

use futures_util::FutureExt;

use super::listener::Listener;
use super::{Live, LiveError};
use crate::domain::TokenHash;

/// Longer than any node's name.
const LONGEST_NAME: usize = 32;

/// A message to all nodes with copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropRequest {
    /// The node that waits for the answer.
    pub from: String,
    /// The message's number there.
    pub number: u64,
    /// What to drop. Nothing: a node listens for its own message.
    pub hashes: Vec<TokenHash>,
}

impl DropRequest {
    fn to_text(&self) -> String {
        let mut text = format!("{} {}", self.from, self.number);
        for hash in &self.hashes {
            text.push(' ');
            text.push_str(&hash.to_base64url());
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (from, number) = (words.next()?, words.next()?.parse().ok()?);
        // Its answers wait in memory.
        let from = (from.len() <= LONGEST_NAME).then(|| from.to_owned())?;
        let hashes = words.map(TokenHash::parse_base64url).collect::<Option<_>>()?;
        Some(Self { from, number, hashes })
    }
}

/// An answer: this holder has dropped what the message asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The name of the holder's lease.
    pub holder: String,
    /// The message's number.
    pub number: u64,
}

impl Acknowledgement {
    fn to_text(&self) -> String {
        format!("{} {}", self.holder, self.number)
    }

    fn parse(text: &str) -> Option<Self> {
        let (holder, number) = text.split_once(' ')?;
        Some(Self { holder: holder.to_owned(), number: number.parse().ok()? })
    }
}

/// A subscription to one of the channels.
pub struct NearListener(Listener);

impl NearListener {
    /// Waits for a message to drop copies. An error: no further message will come.
    pub async fn request(&mut self) -> Result<DropRequest, LiveError> {
        loop {
            if let Some(request) = DropRequest::parse(&self.0.text().await?) {
                return Ok(request);
            }
        }
    }

    /// Waits for an answer. An error: no further answer will come.
    pub async fn acknowledgement(&mut self) -> Result<Acknowledgement, LiveError> {
        loop {
            if let Some(acknowledgement) = Acknowledgement::parse(&self.0.text().await?) {
                return Ok(acknowledgement);
            }
        }
    }
}

impl Live {
    /// What the names of both channels begin with.
    pub fn near_channels(&self) -> String {
        format!("{}near:", self.shared.prefix)
    }

    fn drop_channel(&self) -> String {
        format!("{}drop", self.near_channels())
    }

    /// Where a node hears itself.
    fn echo_channel(&self) -> String {
        format!("{}echo:{}", self.near_channels(), self.own_name())
    }

    fn acknowledgement_channel(&self, of: &str) -> String {
        format!("{}ack:{of}", self.near_channels())
    }

    /// This node's name in its messages.
    pub fn own_name(&self) -> &str {
        &self.shared.own
    }

    /// Asks every node with copies to drop these.
    pub async fn ask_to_drop(&self, number: u64, hashes: &[TokenHash]) -> Result<(), LiveError> {
        self.send(self.drop_channel(), number, hashes).await
    }

    /// Sends a message that only comes back to this node, on the connection on which it hears the others.
    pub async fn echo(&self) -> Result<(), LiveError> {
        self.send(self.echo_channel(), 0, &[]).await
    }

    async fn send(&self, channel: String, number: u64, hashes: &[TokenHash]) -> Result<(), LiveError> {
        let request = DropRequest { from: self.own_name().to_owned(), number, hashes: hashes.to_vec() };
        self.connections.any().boxed().await?.publish(&[(channel, request.to_text())]).await
    }

    /// Answers these messages, each to the node that waits for it.
    pub async fn acknowledge(&self, answers: &[(String, Acknowledgement)]) -> Result<(), LiveError> {
        let answer = |(to, answer): &(String, Acknowledgement)| (self.acknowledgement_channel(to), answer.to_text());
        let answers: Vec<_> = answers.iter().map(answer).collect();
        self.connections.any().boxed().await?.publish(&answers).await
    }

    /// Listens to the messages of all nodes.
    pub async fn hear_requests(&self) -> Result<NearListener, LiveError> {
        self.subscribe_near(&[self.drop_channel(), self.echo_channel()]).await
    }

    /// Listens to the answers to this node's messages.
    pub async fn hear_acknowledgements(&self) -> Result<NearListener, LiveError> {
        self.subscribe_near(&[self.acknowledgement_channel(self.own_name())]).await
    }

    /// The error in words, with advice on a right that is missing.
    pub fn near_advice(&self, error: LiveError) -> String {
        match error {
            LiveError::Refused(code) if code == "NOPERM" => {
                format!("grant Redis' user +subscribe, +publish and &{}*", self.near_channels())
            }
            other => other.to_string(),
        }
    }

    async fn subscribe_near(&self, channels: &[String]) -> Result<NearListener, LiveError> {
        let shared = &self.shared;
        let listener = Listener::subscribe(&shared.post, channels, Arc::clone(&shared.own), &shared.config).await?;
        Ok(NearListener(listener))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SystemRandom, Token};

    #[test]
    fn messages_read_back_and_nothing_else_is_one() {
        let hash = || Token::generate(&SystemRandom).hash();
        for hashes in [vec![], vec![hash()], vec![hash(), hash()]] {
            let request = DropRequest { from: "a1".to_owned(), number: 7, hashes };
            assert_eq!(DropRequest::parse(&request.to_text()), Some(request));
        }
        let answer = Acknowledgement { holder: "b2".to_owned(), number: u64::MAX };
        assert_eq!(Acknowledgement::parse(&answer.to_text()), Some(answer));
        for text in ["", "a1", "a1 x", "a1 7 short", "a1 7 ", "a1 -1", "a1 7 \u{e4}"] {
            assert_eq!(DropRequest::parse(text), None, "{text:?}");
        }
        for text in ["", "b2", "b2 x", "b2 7 8"] {
            assert_eq!(Acknowledgement::parse(text), None, "{text:?}");
        }
    }
}
