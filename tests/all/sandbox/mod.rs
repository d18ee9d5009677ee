//! The sandbox: each limit obeyed and violated, with a healthy neighbour served in both.

mod kills;
