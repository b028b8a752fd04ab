//! Listener: one subscription to the other nodes' messages, over its own connection.
//!
//! Owns [`Listener`]. No node trusts this connection: about a session, each message is only a hint, from any sender. Must never
//! reconnect by itself, because the caller has to know that messages may be lost; and never wait for a sign of life
//! without a time limit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, ConnectionInfo, RedisError};
use tokio::time::timeout;

use super::address::{Node, at};
use super::cluster::Cluster;
use super::fault::Fault;
use super::sentinel::Sentinels;
use super::{LiveConfig, LiveError};
use crate::domain::{SessionId, SystemRandom, random};

/// After this much silence, the listener pings the server.
const SILENCE: Duration = Duration::from_secs(3);

/// A subscription.
pub struct Listener {
    asking: PubSubSink,
    messages: PubSubStream,
    /// The prefix of this node's own messages.
    own: Arc<str>,
    patience: Duration,
    elected: Option<(Arc<Sentinels>, Node)>,
}

/// Where to subscribe.
pub(super) enum Post {
    /// At this address.
    Server(ConnectionInfo),
    /// At the address that the Sentinels name.
    Sentinels(Arc<Sentinels>, ConnectionInfo),
    /// At any master: each passes on the messages of all.
    Cluster(Arc<Cluster>),
}

impl Post {
    /// The present address to subscribe at.
    async fn find(&self) -> Result<(ConnectionInfo, Option<(Arc<Sentinels>, Node)>), LiveError> {
        match self {
            Self::Server(info) => Ok((info.clone(), None)),
            Self::Sentinels(sentinels, like) => {
                let master = sentinels.master().await?;
                Ok((at(like, &master), Some((Arc::clone(sentinels), master))))
            }
            Self::Cluster(cluster) => {
                cluster.refresh().await;
                let masters = cluster.masters().await?;
                // A different one each time: the previous one may be down.
                let [chance] = random::bytes(&SystemRandom);
                let master = masters.iter().cycle().nth(usize::from(chance));
                let nobody = || LiveError::Down("the cluster has no master".to_owned());
                Ok((cluster.address(master.ok_or_else(nobody)?)?, None))
            }
        }
    }
}

impl Listener {
    /// Subscribes.
    pub(super) async fn subscribe(
        post: &Post,
        channels: &[String],
        own: Arc<str>,
        config: &LiveConfig,
    ) -> Result<Self, LiveError> {
        let subscribed = timeout(config.connect_timeout.saturating_mul(2), async {
            let (info, elected) = post.find().await?;
            let pubsub = Client::open(info).map_err(refused)?.get_async_pubsub().await.map_err(refused)?;
            let (mut asking, messages) = pubsub.split();
            asking.subscribe(channels).await.map_err(refused)?;
            Ok(Self { asking, messages, own, patience: config.command_timeout.saturating_mul(2), elected })
        });
        subscribed.await.map_err(|_| LiveError::Timeout)?
    }

    /// Waits for another node's message that a session may have changed. An error: no further message will come.
    pub async fn hear(&mut self) -> Result<SessionId, LiveError> {
        loop {
            let text = self.text().await?;
            if let Some(session) = read(&text, &self.own) {
                return Ok(session);
            }
        }
    }

    /// Waits for any message that is text, this node's own too. An error: no further message will come.
    pub(super) async fn text(&mut self) -> Result<String, LiveError> {
        loop {
            match timeout(SILENCE, self.messages.next()).await {
                Ok(Some(message)) => {
                    if let Ok(text) = String::from_utf8(message.get_payload_bytes().to_vec()) {
                        return Ok(text);
                    }
                }
                Ok(None) => return Err(LiveError::Down("the subscription has ended".to_owned())),
                Err(_) => self.examine().await?,
            }
        }
    }

    /// Whether the server still answers, and is still the one to listen to.
    async fn examine(&mut self) -> Result<(), LiveError> {
        let answered = timeout(self.patience, self.asking.ping::<redis::Value>()).await;
        answered.map_err(|_| LiveError::Timeout)?.map_err(refused)?;
        match &self.elected {
            Some((sentinels, address)) if sentinels.name_another(address).await => {
                Err(LiveError::Down("the Sentinels name another master".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// A message about a session: the sender, and the session's id.
pub(super) fn word(own: &str, session: SessionId) -> String {
    format!("{own} {session}")
}

/// The session; none when this node is the sender, or the message is malformed.
fn read(text: &str, own: &str) -> Option<SessionId> {
    let (who, session) = text.split_once(' ')?;
    if who == own { None } else { SessionId::parse(session) }
}

fn refused(error: RedisError) -> LiveError {
    Fault::from(error).error
}
