//! A server of the tests' own: a listener, and answers written by hand.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Answers by path; see `answer`.
pub(super) struct Server {
    port: u16,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

/// What the server has seen.
#[derive(Default)]
struct Log {
    heads: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: watch::Sender<usize>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::answering(None).await
    }

    /// One that answers nothing, whatever the path.
    pub(super) async fn silent() -> Self {
        Self::answering(Some("/silent")).await
    }

    /// One that answers as to this path, if any, whatever it is asked.
    async fn answering(always: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let log = Arc::new(Log::default());
        let keep = log.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                keep.connections.fetch_add(1, Ordering::Relaxed);
                keep.open.send_modify(|open| *open += 1);
                let log = keep.clone();
                tokio::spawn(async move {
                    // A client that goes away is what many tests are about.
                    let _ = serve(stream, &log, always).await;
                    log.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { port, log, accepting }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1` and the port.
    pub(super) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The heads of all requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.log.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::Relaxed)
    }

    /// Waits until exactly so many connections are open.
    pub(super) async fn until_open(&self, count: usize) {
        let mut open = self.log.open.subscribe();
        open.wait_for(|open| *open == count).await.expect("the server is there");
    }
}

async fn serve(mut stream: TcpStream, log: &Log, always: Option<&str>) -> io::Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
    };
    let rest = read.split_off(end + 4);
    let head = String::from_utf8_lossy(&read).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    answer(&mut stream, always.unwrap_or(&path), rest).await?;
    // Until the client closes.
    while stream.read(&mut [0; 4096]).await? > 0 {}
    Ok(())
}

async fn answer(stream: &mut TcpStream, path: &str, rest: Vec<u8>) -> io::Result<()> {
    let (path, number) = path.split_once('?').unwrap_or((path, ""));
    let number: usize = number.parse().unwrap_or_default();
    match path {
        // 302 to a place that nobody has granted.
        "/redirect" => {
            let head = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/secret\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).await
        }
        // So many bytes, their number said before.
        "/bytes" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {number}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&vec![b'y'; number]).await
        }
        // So many bytes, in chunks.
        "/chunks" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            for _ in 0..number {
                stream.write_all(b"1\r\ny\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
        // As many as are taken.
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'y'; 16 * 1024]).await?;
            }
        }
        // Fewer than said, and then the end.
        "/short" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
                .await?;
            stream.shutdown().await
        }
        // Some, and then none, for ever.
        "/stalled" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
                .await
        }
        // A byte of the head now and then, for ever.
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        // Nothing at all.
        "/silent" => Ok(()),
        // No answer, and the end.
        "/gone" => stream.shutdown().await,
        // Not HTTP.
        "/garbage" => stream.write_all(b"220 mail.example ESMTP\r\n").await,
        // A header of so many bytes.
        "/header" => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-big: {}\r\n\r\n",
                "y".repeat(number)
            );
            stream.write_all(head.as_bytes()).await
        }
        // So many headers.
        "/headers" => {
            let headers: String = (0..number).map(|nth| format!("x-{nth}: y\r\n")).collect();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).await
        }
        // The body of the request is read, and its length is the answer.
        "/count" => {
            let text = count(stream, rest).await?.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            stream.write_all(head.as_bytes()).await
        }
        _ => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
                .await
        }
    }
}

/// The `x`es of a chunked body: its framing has none.
async fn count(stream: &mut TcpStream, mut read: Vec<u8>) -> io::Result<usize> {
    while !read.ends_with(b"0\r\n\r\n") {
        if stream.read_buf(&mut read).await? == 0 {
            break;
        }
    }
    Ok(read.iter().filter(|byte| **byte == b'x').count())
}
