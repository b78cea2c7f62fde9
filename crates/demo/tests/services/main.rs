//! The demo services over real sockets.

mod cart;
mod shop;
mod stop;
mod world;
