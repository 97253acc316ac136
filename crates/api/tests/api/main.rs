//! The surface over real services and mocked ports: what goes over the wire, to the letter.

#![cfg(test)]

mod accounts;
mod api_keys;
mod audit;
mod conversations;
mod files;
mod fixture;
mod golden;
mod idempotency;
mod limits;
mod oauth;
mod personas;
mod problems;
mod projects;
mod search;
mod sharing;
mod sockets;
mod streams;
mod transfer;
