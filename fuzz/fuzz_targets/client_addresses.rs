//! What proxies, and whoever pretends to be one, write into `X-Forwarded-For`.
#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use repartee_domain::network::{Network, client_address};

static TRUSTED: LazyLock<Vec<Network>> = LazyLock::new(|| {
    let networks = ["10.0.0.0/8", "::1", "fd00::/8"];
    networks.iter().filter_map(|text| text.parse().ok()).collect()
});

fuzz_target!(|header: &str| {
    let of = |peer: IpAddr| client_address(peer, header.split(','), &TRUSTED);
    let stranger = IpAddr::from([203, 0, 113, 7]);
    assert_eq!(of(stranger), stranger, "nobody vouches for what a stranger says");
    let _ = of(IpAddr::from([10, 0, 0, 1]));
    // An entry in front of all others changes nothing as long as one of them is nobody's we trust.
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let behind = format!("{header},198.51.100.9");
    assert_eq!(client_address(proxy, behind.split(','), &TRUSTED), IpAddr::from([198, 51, 100, 9]));
    if let Ok(network) = header.parse::<Network>() {
        let _ = network.contains(proxy);
    }
});
