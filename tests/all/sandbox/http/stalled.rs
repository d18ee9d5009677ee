//! Connections that are never made: the other side takes none any more, and says nothing.

use std::net::Ipv4Addr;

use palisade::{Class, PluginSpec, Runtime};
use palisade_tests::event;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;

use super::server::Server;
use super::words::{Fetching, Names, fetcher, get, order};
use crate::sandbox::beside::SHORT;

/// A listener that accepts nobody and whose queue is full: the kernel answers no further connection at all.
struct Full {
    port: u16,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Full {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("its address");
        // Linux takes one more than it is told.
        let queue = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        Self {
            port: address.port(),
            _listener: listener,
            _queue: queue
                .into_iter()
                .collect::<Result<_, _>>()
                .expect("there is room for two"),
        }
    }

    fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many connections to it wait for an answer, as the kernel sees it.
    fn waiting(&self) -> usize {
        const SYN_SENT: &str = "02";
        let all = std::fs::read_to_string("/proc/self/net/tcp").expect("Linux tells it");
        let to = format!(":{:04X}", self.port);
        let is_waiting = |line: &&str| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next().is_some_and(|remote| remote.ends_with(&to)) && fields.next() == Some(SYN_SENT)
        };
        all.lines().filter(is_waiting).count()
    }

    async fn until_waiting(&self, count: usize) {
        while self.waiting() != count {
            tokio::task::yield_now().await;
        }
    }
}

/// `fetcher` with a grant of both, and of the full one by a name.
fn granted(full: &Full, server: &Server) -> PluginSpec {
    let origins = [
        full.authority(),
        format!("stalled.test:{}", full.port),
        server.authority(),
    ];
    fetcher(|grants| {
        let add = |grants: palisade::Grants, at| grants.http_private(format!("http://{at}"));
        origins.into_iter().fold(grants, add)
    })
}

async fn fetching(spec: PluginSpec) -> Fetching {
    let names = Names::default().with("stalled.test", &["127.0.0.1"]);
    Fetching::with(Runtime::builder().resolver(names), spec).await
}

/// S2, H43: a connection that is never made ends with the call's deadline; it is given up, the next event is served by a fresh
/// instance, and after the plugin is unloaded nothing is left of it, no task and no socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_h43_a_connection_that_is_never_made_ends_by_the_deadline() {
    let (full, server) = (Full::new().await, Server::start().await);
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let mut hurried = granted(&full, &server);
    hurried.limits.timeout = SHORT;
    let fetching = fetching(hurried).await;
    let before = tasks();
    for at in [full.authority(), format!("stalled.test:{}", full.port)] {
        let outcome = fetching
            .outcome("fetch.order", order(&at, "/", json!({ "times": 3 })))
            .await;
        assert_eq!(outcome.class, Class::Timeout, "{}", outcome.message());
        full.until_waiting(0).await;
        assert_eq!(fetching.fetch(get(&server.authority(), "/")).await["bytes"], 5);
    }
    fetching.runtime.unload("fetcher").await.unwrap();
    server.until_open(0).await;
    while tasks() > before {
        tokio::task::yield_now().await;
    }
    assert_eq!((full.waiting(), server.connections()), (0, 2));
}

/// S5, H30, H43: so it is when the publisher goes, or the plugin with it, while the connection waits, as the kernel can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_h43_a_connection_that_is_never_made_is_given_up_with_its_call() {
    let (full, server) = (Full::new().await, Server::start().await);
    let fetching = fetching(granted(&full, &server)).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let publish = || {
        let three = order(&full.authority(), "/", json!({ "times": 3 }));
        let runtime = fetching.runtime.clone();
        tokio::spawn(async move { runtime.publish(event("fetch.order", three)).await })
    };
    let dropped = publish();
    full.until_waiting(3).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    full.until_waiting(0).await;
    assert_eq!(fetching.fetch(get(&server.authority(), "/")).await["bytes"], 5);
    let dropped = publish();
    full.until_waiting(3).await;
    let runtime = fetching.runtime.clone();
    let unload = tokio::spawn(async move { runtime.unload("fetcher").await.map(drop) });
    dropped.abort();
    unload.await.unwrap().unwrap();
    full.until_waiting(0).await;
    while Handle::current().metrics().num_alive_tasks() > before {
        tokio::task::yield_now().await;
    }
}

/// H43: the guest's own limit ends it before, is told as what it is, and the guest goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h43_the_guests_own_limit_ends_a_connection_that_is_never_made() {
    let (full, server) = (Full::new().await, Server::start().await);
    let fetching = fetching(granted(&full, &server)).await;
    for _ in 0..3 {
        let error = fetching
            .error(order(&full.authority(), "/", json!({ "connect-ms": 30 })))
            .await;
        assert_eq!(error, "ConnectionTimeout");
        full.until_waiting(0).await;
    }
    assert_eq!(fetching.fetch(get(&server.authority(), "/")).await["bytes"], 5);
}
