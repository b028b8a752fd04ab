//! Sentinel: asks the Sentinels for the address of the master.
//!
//! Owns the question to all of them. Must never accept a minority's answer: a Sentinel that is cut off with an old
//! master still names that one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisResult};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::address::{Node, named};
use super::{LiveConfig, LiveError};
use crate::domain::Clock;

/// The shortest time between two questions to the Sentinels, however many connections need the answer.
const ASK_EVERY: Duration = Duration::from_millis(900);

/// All Sentinels of one master.
pub(super) struct Sentinels {
    sentinels: Vec<ConnectionInfo>,
    service: String,
    timeouts: AsyncConnectionConfig,
    patience: Duration,
    clock: Arc<dyn Clock>,
    latest: Mutex<Option<(Duration, Option<Node>)>>,
}

impl Sentinels {
    /// Connects to nothing yet.
    pub(super) fn new(
        sentinels: Vec<ConnectionInfo>,
        service: String,
        config: &LiveConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // Half the time of a connection attempt: the other half is for the master.
        let patience = config.connect_timeout / 2;
        let timeouts =
            AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
        Self { sentinels, service, timeouts, patience, clock, latest: Mutex::default() }
    }

    /// The address that a majority of all Sentinels names. Waits only for as many as needed.
    pub(super) async fn master(&self) -> Result<Node, LiveError> {
        let ask = |sentinel| timeout(self.patience, self.ask(sentinel));
        let mut answers: FuturesUnordered<_> = self.sentinels.iter().map(ask).collect();
        let mut votes: HashMap<Node, usize> = HashMap::new();
        while let Some(answer) = answers.next().await {
            let Ok(Ok(Some(named))) = answer else { continue };
            let count = votes.entry(named.clone()).or_default();
            *count += 1;
            if *count > self.sentinels.len() / 2 {
                return Ok(named);
            }
        }
        Err(self.no_majority(votes.values().sum(), votes.len()))
    }

    /// Whether a majority names another address by now. Without any answer it is false.
    pub(super) async fn name_another(&self, than: &Node) -> bool {
        let mut latest = self.latest.lock().await;
        let now = self.clock.monotonic();
        if latest.as_ref().is_none_or(|(asked, _)| now >= asked.saturating_add(ASK_EVERY)) {
            *latest = Some((now, self.master().await.ok()));
        }
        latest.as_ref().and_then(|(_, named)| named.as_ref()).is_some_and(|named| named != than)
    }

    async fn ask(&self, sentinel: &ConnectionInfo) -> RedisResult<Option<Node>> {
        let client = Client::open(sentinel.clone())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&self.timeouts).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
        Ok(answer.and_then(|(host, port)| named(Some(host), port, sentinel)))
    }

    fn no_majority(&self, named: usize, addresses: usize) -> LiveError {
        let all = self.sentinels.len();
        let heard = if named == 0 { "none named an address".to_owned() } else { format!("{named} named {addresses}") };
        LiveError::FencedOff(format!(
            "no majority of the {all} Sentinels names one address of the master {:?}: {heard}",
            self.service
        ))
    }
}
