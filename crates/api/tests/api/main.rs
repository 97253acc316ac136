//! The surface over real services and mocked ports: what goes over the wire, to the letter.

#![cfg(test)]

mod accounts;
mod conversations;
mod fixture;
mod problems;
