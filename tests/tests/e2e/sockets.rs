//! Chatting over a WebSocket.

mod access;
mod closing;
mod expiry;
mod frames;
mod malformed;
