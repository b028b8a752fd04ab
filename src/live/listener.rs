//! Listening to the other nodes: one subscription, over a connection of its own.
//!
//! Owns [`Listener`]. It is no connection that anybody believes: what is heard is a hint, whoever said it. Must never
//! reconnect by itself, because whoever listens has to know that something may have been missed; and never wait for a
//! sign of life without a bound.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, ConnectionInfo, Msg, RedisError};
use tokio::time::timeout;

use super::address::{Node, at};
use super::cluster::Cluster;
use super::fault::Fault;
use super::sentinel::Sentinels;
use super::{LiveConfig, LiveError};
use crate::domain::{SessionId, SystemRandom, random};

/// After so much silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(3);

/// A subscription.
pub struct Listener {
    asking: PubSubSink,
    messages: PubSubStream,
    /// What this node's own messages begin with.
    own: Arc<str>,
    patience: Duration,
    elected: Option<(Arc<Sentinels>, Node)>,
}

/// Where to listen.
pub(super) enum Post {
    /// At this address.
    Server(ConnectionInfo),
    /// Where the Sentinels say.
    Sentinels(Arc<Sentinels>, ConnectionInfo),
    /// At any master: each passes on what any of them hears.
    Cluster(Arc<Cluster>),
}

impl Post {
    /// The address to listen at now.
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
                // Another one each time: the one before may have been the one that is away.
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
        channel: &str,
        own: Arc<str>,
        config: &LiveConfig,
    ) -> Result<Self, LiveError> {
        let subscribed = timeout(config.connect_timeout.saturating_mul(2), async {
            let (info, elected) = post.find().await?;
            let pubsub = Client::open(info).map_err(refused)?.get_async_pubsub().await.map_err(refused)?;
            let (mut asking, messages) = pubsub.split();
            asking.subscribe(channel).await.map_err(refused)?;
            Ok(Self { asking, messages, own, patience: config.command_timeout.saturating_mul(2), elected })
        });
        subscribed.await.map_err(|_| LiveError::Timeout)?
    }

    /// Waits for another node to say that something about a session may have changed. An error: it cannot be heard any
    /// more.
    pub async fn hear(&mut self) -> Result<SessionId, LiveError> {
        loop {
            match timeout(SILENCE, self.messages.next()).await {
                Ok(Some(message)) => {
                    if let Some(session) = read(&message, &self.own) {
                        return Ok(session);
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

/// What is said of a session: who says it, and its id.
pub(super) fn word(own: &str, session: SessionId) -> String {
    format!("{own} {session}")
}

/// The session; none when this node has said it itself, or nobody could.
fn read(message: &Msg, own: &str) -> Option<SessionId> {
    let text = std::str::from_utf8(message.get_payload_bytes()).ok()?;
    let (who, session) = text.split_once(' ')?;
    if who == own { None } else { SessionId::parse(session) }
}

fn refused(error: RedisError) -> LiveError {
    Fault::from(error).error
}
