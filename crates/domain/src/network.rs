//! Addresses on the network: which of them sent a request, and which count as one.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use thiserror::Error;

/// A subscriber's network (RFC 6177): who has one address of it has them all.
const SUBSCRIBER_BITS: u8 = 64;

/// An address, or a network in CIDR notation (RFC 4632). An IPv4 address that is mapped into IPv6
/// is the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    /// At most 32 for IPv4 and 128 for IPv6.
    prefix: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("neither an address nor a network (10.0.0.0/8)")]
pub struct NoNetwork;

/// What counts as one caller where nobody says who they are: an IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressBlock(IpAddr);

/// Who sent a request: the rightmost hop of `X-Forwarded-For` that is not a trusted proxy, for
/// that is the nearest one that nobody on the way vouches for. The header counts only where the
/// peer itself is trusted, and only as far as it can be read: whatever stands left of an entry
/// that is no address is nobody's word.
///
/// `hops` are the entries of the header as they came, of all its lines in their order.
pub fn client_address<'a>(
    peer: IpAddr,
    hops: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let mut hops = hops.rev();
    while is_trusted(client) {
        let Some(hop) = hops.next().and_then(hop_address) else { break };
        client = hop;
    }
    client
}

/// An entry of `X-Forwarded-For`: an address, which some proxies write with a port.
fn hop_address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bracketed = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let address: IpAddr = match bracketed {
        Some((address, "")) => address.parse::<Ipv6Addr>().ok()?.into(),
        Some((address, port)) if is_port(port.strip_prefix(':')?) => {
            address.parse::<Ipv6Addr>().ok()?.into()
        }
        Some(_) => return None,
        None => match entry.rsplit_once(':') {
            Some((address, port)) if !address.contains(':') && is_port(port) => {
                address.parse().ok()?
            }
            _ => entry.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                shares(network.to_bits().into(), address.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                shares(network.to_bits(), address.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }
}

/// Whether two numbers of so many bits begin with the same `prefix` bits.
fn shares(one: u128, other: u128, bits: u8, prefix: u8) -> bool {
    (one ^ other).checked_shr(u32::from(bits.saturating_sub(prefix))).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        const MAPPED: u8 = 96;

        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| NoNetwork)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| NoNetwork)?,
            None => bits,
        };
        match address.to_canonical() {
            _ if prefix > bits => Err(NoNetwork),
            mapped @ IpAddr::V4(_) if address.is_ipv6() && prefix >= MAPPED => {
                Ok(Self { address: mapped, prefix: prefix - MAPPED })
            }
            _ => Ok(Self { address, prefix }),
        }
    }
}

impl AddressBlock {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - SUBSCRIBER_BITS);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn client(peer: &str, header: &str, trusted: &[&str]) -> String {
        client_address(ip(peer), header.split(','), &networks(trusted)).to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_hop_that_is_not_trusted() {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48"];
        for (peer, header, expected) in [
            // The header is the word of whoever sent it.
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.2.0.3", "198.51.100.1"),
            ("10.0.0.1", "6.6.6.6, 2001:db8:2::1,2001:db8:1::5", "2001:db8:2::1"),
            // All are ours: the leftmost began it.
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "", "10.0.0.1"),
        ] {
            assert_eq!(client(peer, header, &proxies), expected, "{peer} {header}");
        }
        assert_eq!(client("10.0.0.1", "198.51.100.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_cannot_be_read_ends_the_walk() {
        for (header, expected) in [
            ("198.51.100.1, unknown", "10.0.0.1"),
            ("198.51.100.1, nonsense, 10.0.0.2", "10.0.0.2"),
            ("198.51.100.1, , 10.0.0.2", "10.0.0.2"),
            ("198.51.100.1.7", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", header, &["10.0.0.0/8"]), expected, "{header}");
        }
    }

    #[test]
    fn a_hop_may_have_a_port() {
        for (header, expected) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            // Not understood: the peer counts.
            ("198.51.100.1:99999", "10.0.0.1"),
            ("198.51.100.1:", "10.0.0.1"),
            ("[2001:db8::1]x", "10.0.0.1"),
            ("[198.51.100.1]:80", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", header, &["10.0.0.1"]), expected, "{header}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        assert_eq!(client("::ffff:10.0.0.1", "198.51.100.1", &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", "198.51.100.1", &["::ffff:10.0.0.0/104"]), "198.51.100.1");
        assert_eq!(AddressBlock::of(ip("::ffff:10.0.0.1")).address(), ip("10.0.0.1"));
        assert!(!networks(&["::/0"])[0].contains(ip("10.0.0.1")));
    }

    #[test]
    fn an_ipv6_subscriber_is_one_and_ipv4_addresses_are_several() {
        let block = |text| AddressBlock::of(ip(text));
        assert_eq!(block("2001:db8:0:1::1"), block("2001:db8:0:1:ffff::2"));
        assert_ne!(block("2001:db8:0:1::1"), block("2001:db8:0:2::1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
        assert_eq!(block("2001:db8:0:1:ffff::2").address(), ip("2001:db8:0:1::"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0/8", "proxy", "10.0.0.1/-1"]
        {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from_bits(bits).into()),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
        ]
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange_and_none_counts_from_a_stranger(
            peer in addresses(),
            header in "\\PC{0,80}",
        ) {
            prop_assert_eq!(client_address(peer, header.split(','), &[]), peer.to_canonical());
            let all = networks(&["0.0.0.0/0", "::/0"]);
            client_address(peer, header.split(','), &all);
        }

        /// Nobody can make themselves somebody else by what they write into the header.
        #[test]
        fn what_a_client_writes_changes_nothing(
            forged in proptest::collection::vec("[0-9a-f.:, x]{0,40}", 0..5),
            client in any::<u32>(),
        ) {
            let client = std::net::Ipv4Addr::from_bits(client | 0x8000_0000);
            let header = format!("{}, {client}, 10.0.0.2", forged.join(","));
            let seen = client_address(ip("10.0.0.1"), header.split(','), &networks(&["10.0.0.0/8"]));
            prop_assert_eq!(seen, IpAddr::from(client));
        }

        #[test]
        fn a_network_contains_what_begins_like_it(
            address in addresses(),
            prefix in 0_u8..=128,
            flipped in 0_u8..128,
        ) {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let (prefix, flipped) = (prefix.min(bits), flipped % bits);
            let other: IpAddr = match address {
                IpAddr::V4(a) => std::net::Ipv4Addr::from_bits(a.to_bits() ^ (1 << (31 - flipped))).into(),
                IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits() ^ (1 << (127 - flipped))).into(),
            };
            // A mapped address is told apart by what it is mapped to.
            prop_assume!(address.to_canonical() == address && other.to_canonical() == other);
            let network: Network = format!("{address}/{prefix}").parse().unwrap();
            prop_assert!(network.contains(address));
            prop_assert_eq!(network.contains(other), flipped >= prefix);
        }
    }
}
