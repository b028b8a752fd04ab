//! Half close: a connection whose client has closed its side and waits for the answer.
//!
//! TCP shows no difference between a client that waits like this (`nc -N`, `shutdown(SHUT_WR)`) and one that is gone,
//! until the server writes to it. Owns this choice: while an answer is owed, it reports the end of the client's input a
//! moment late. A quick answer reaches a waiting client in that moment, and a client that is gone costs no more. Must
//! never delay anything else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client that has closed its side can wait for its answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A stream that reports the end of its input late while an answer is owed.
pub struct HalfClose<S> {
    stream: S,
    /// Whether the client has sent data since the last write to it.
    owed: bool,
    /// Starts at the end of the input.
    ended: Option<Pin<Box<Sleep>>>,
}

impl<S> HalfClose<S> {
    /// No answer is owed before the client sends data.
    pub fn new(stream: S) -> Self {
        Self { stream, owed: false, ended: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HalfClose<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(ended) = &mut self.ended {
            if !ended.is_elapsed() {
                ready!(ended.as_mut().poll(cx));
            }
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        if into.filled().len() > before {
            self.owed = true;
        } else if self.owed && into.remaining() > 0 {
            return self.ended.insert(Box::pin(sleep(PATIENCE))).as_mut().poll(cx).map(Ok);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HalfClose<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.owed = false;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.owed = false;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Whether the end of a client's input is delayed, after a request and this much of an answer.
    async fn is_held_back(request: &[u8], answer: &[u8]) -> bool {
        let (mut client, server) = duplex(64);
        let mut server = HalfClose::new(server);
        client.write_all(request).await.unwrap();
        server.read_exact(&mut vec![0; request.len()]).await.unwrap();
        server.write_all(answer).await.unwrap();
        drop(client);
        let mut buffer = [0; 8];
        let is_held = server.read(&mut buffer).now_or_never().is_none();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0, "the end is told");
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0, "and stays the end");
        is_held
    }

    #[tokio::test]
    async fn the_end_is_held_back_only_while_an_answer_is_owed() {
        assert!(is_held_back(b"GET / HTTP/1.1\r\n\r\n", b"").await);
        assert!(!is_held_back(b"", b"").await, "nothing was asked");
        assert!(!is_held_back(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200").await, "the answer has begun");
    }
}
