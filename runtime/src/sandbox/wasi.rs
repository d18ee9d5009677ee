//! WASI 0.2, each interface once: wasmtime's own, but for files, which are ours.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

use crate::sandbox::files::GuestFiles;
use crate::sandbox::state::HostState;

/// Links all of it: what a guest may do with it is decided by its context.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    add_io(linker)?;
    add_clocks(linker)?;
    add_random(linker)?;
    add_cli(linker)?;
    add_files(linker)?;
    add_sockets(linker)
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn add_io(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<_, Io>(linker, |state: &mut HostState| state.ctx().table)?;
    io::poll::add_to_linker::<_, Io>(linker, |state: &mut HostState| state.ctx().table)?;
    io::streams::add_to_linker::<_, Io>(linker, |state: &mut HostState| state.ctx().table)
}

fn add_clocks(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, HostState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, HostState::clocks)
}

fn add_random(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    random::random::add_to_linker::<_, WasiRandom>(linker, HostState::random)?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, HostState::random)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, HostState::random)
}

fn add_cli(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    cli::exit::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, HostState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, HostState::cli)
}

fn add_files(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    filesystem::types::add_to_linker::<_, GuestFiles>(linker, HostState::files)?;
    filesystem::preopens::add_to_linker::<_, GuestFiles>(linker, HostState::files)
}

fn add_sockets(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(linker, &options, HostState::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(linker, HostState::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(linker, HostState::sockets)?;
    sockets::tcp::add_to_linker::<_, WasiSockets>(linker, HostState::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(linker, HostState::sockets)?;
    sockets::udp::add_to_linker::<_, WasiSockets>(linker, HostState::sockets)?;
    sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(linker, HostState::sockets)
}
