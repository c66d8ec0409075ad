//! Where connections come from. One address has some 28,000 local ports towards one target; more
//! connections need more addresses, and a loopback target has 127.0.0.0/8 to come from.

use std::{
    cell::Cell,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use sealgate_uring::Socket;
use thiserror::Error;

/// Addresses of 127.0.0.0/8 that are used, the kernel's own choice first: seven million ports.
const LOOPBACK_SOURCES: u128 = 254;

/// Sources that one connection tries. Each that has no port left is passed over by all that follow,
/// so more would only prolong a run that is out of ports everywhere.
const TRIES: u128 = 16;

/// Sources that cannot be used. The operator's fault.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Neither an address nor a network.
    #[error("{0} is no source: write an address, or a network such as 10.0.0.0/24")]
    Malformed(String),
    /// IPv4 does not reach IPv6.
    #[error("{address} does not lead to {target}: give sources of the target's family")]
    Family {
        /// The first address of the source.
        address: IpAddr,
        /// The target.
        target: SocketAddr,
    },
    /// No interface has it.
    #[error("connections cannot come from {address}: {error}; give addresses of this machine")]
    Foreign {
        /// The address.
        address: IpAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

/// An address, or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// As it was written.
    address: IpAddr,
    prefix: u8,
}

impl Network {
    fn bits(self) -> u8 {
        match self.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
    }

    /// How many addresses it has to offer: of IPv4, not the network's own and the broadcast one.
    fn len(self) -> u128 {
        let host_bits = u32::from(self.bits() - self.prefix);
        let all = 1_u128.checked_shl(host_bits).unwrap_or(u128::MAX);
        match self.address {
            IpAddr::V4(_) if host_bits > 1 => all - 2,
            _ => all,
        }
    }

    fn at(self, index: u128) -> IpAddr {
        let host_bits = u32::from(self.bits() - self.prefix);
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        match self.address {
            IpAddr::V4(address) => {
                let skipped = u128::from(host_bits > 1);
                let number = (u128::from(u32::from(address)) & mask) + skipped + index;
                // Never beyond the network, whose addresses have 32 bits.
                Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into()
            }
            IpAddr::V6(address) => {
                Ipv6Addr::from((u128::from(address) & mask).saturating_add(index)).into()
            }
        }
    }
}

impl FromStr for Network {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let malformed = || SourceError::Malformed(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let whole = Network { address, prefix: 0 }.bits();
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| malformed())?,
            None => whole,
        };
        match prefix <= whole {
            true => Ok(Network { address, prefix }),
            false => Err(malformed()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix == self.bits() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

/// Where the connections of a run come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// The kernel chooses.
    Kernel,
    /// The kernel chooses; once it has no port left, 127.0.0.2 and so on.
    Loopback,
    /// These, in turn.
    Listed(Vec<Network>),
}

impl Sources {
    /// Sources towards `target`: those that were asked for, or what suits it.
    ///
    /// # Errors
    ///
    /// When connections cannot come from there.
    pub fn new(listed: &[Network], target: SocketAddr) -> Result<Self, SourceError> {
        if listed.is_empty() {
            return Ok(match target.ip() {
                IpAddr::V4(address) if address.is_loopback() => Sources::Loopback,
                _ => Sources::Kernel,
            });
        }
        for network in listed {
            let (first, last) = (network.at(0), network.at(network.len() - 1));
            if first.is_ipv4() != target.is_ipv4() {
                let address = first;
                return Err(SourceError::Family { address, target });
            }
            for address in [first, last] {
                Socket::unconnected_from(target, address)
                    .map_err(|error| SourceError::Foreign { address, error })?;
            }
        }
        Ok(Sources::Listed(listed.to_vec()))
    }

    fn len(&self) -> u128 {
        match self {
            Sources::Kernel => 1,
            Sources::Loopback => LOOPBACK_SOURCES,
            Sources::Listed(networks) => networks
                .iter()
                .fold(0, |sum: u128, network| sum.saturating_add(network.len())),
        }
    }

    /// The source with this number; none where the kernel chooses.
    fn at(&self, mut index: u128) -> Option<IpAddr> {
        match self {
            Sources::Kernel => None,
            Sources::Loopback if index == 0 => None,
            Sources::Loopback => {
                let first = u128::from(u32::from(Ipv4Addr::LOCALHOST));
                let number = u32::try_from(first + index).ok()?;
                Some(Ipv4Addr::from(number).into())
            }
            Sources::Listed(networks) => {
                for network in networks {
                    if index < network.len() {
                        return Some(network.at(index));
                    }
                    index -= network.len();
                }
                None
            }
        }
    }
}

/// A worker's way through the sources.
#[derive(Debug)]
pub struct Departures {
    sources: Sources,
    next: Cell<u128>,
}

/// The sources that one connection tries, one after the other.
#[derive(Debug)]
pub struct Departure<'a> {
    from: &'a Departures,
    at: u128,
    left: u128,
}

impl Departures {
    /// A way that begins with the first source.
    pub fn new(sources: Sources) -> Self {
        let next = Cell::new(0);
        Self { sources, next }
    }

    /// The sources of the next connection.
    pub fn departure(&self) -> Departure<'_> {
        let at = self.next.get();
        if matches!(self.sources, Sources::Listed(_)) {
            self.pass(at);
        }
        Departure {
            from: self,
            at,
            left: self.sources.len().min(TRIES),
        }
    }

    /// Nobody begins with `at` any more, until its turn comes again.
    fn pass(&self, at: u128) {
        if self.next.get() == at {
            self.next.set((at + 1) % self.sources.len());
        }
    }
}

impl Departure<'_> {
    /// Where to come from; none where the kernel chooses.
    pub fn address(&self) -> Option<IpAddr> {
        self.from.sources.at(self.at)
    }

    /// Goes on to the next source, since this one has no port left. False when all were tried.
    pub fn is_followed(&mut self) -> bool {
        self.left -= 1;
        self.from.pass(self.at);
        self.at = self.from.next.get();
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Sources {
        Sources::Listed(vec![text.parse().unwrap()])
    }

    #[test]
    fn networks_have_the_addresses_that_hosts_may_have() {
        for (text, len, first, last) in [
            ("10.0.0.7", 1, "10.0.0.7", "10.0.0.7"),
            ("10.0.0.7/24", 254, "10.0.0.1", "10.0.0.254"),
            ("10.0.0.6/31", 2, "10.0.0.6", "10.0.0.7"),
            ("127.0.0.0/8", (1 << 24) - 2, "127.0.0.1", "127.255.255.254"),
            ("fd00::/126", 4, "fd00::", "fd00::3"),
        ] {
            let network: Network = text.parse().unwrap();
            let ends = (network.at(0), network.at(len - 1));
            let expected = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!((network.len(), ends), (len, expected), "{text}");
        }
        assert_eq!(
            "10.0.0.7".parse::<Network>().unwrap().to_string(),
            "10.0.0.7"
        );
        for text in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn listed_sources_take_turns() {
        let departures = Departures::new(listed("10.0.0.0/30"));
        let next = || departures.departure().address().unwrap().to_string();
        assert_eq!(
            [next(), next(), next()],
            ["10.0.0.1", "10.0.0.2", "10.0.0.1"]
        );
    }

    #[test]
    fn a_source_without_ports_is_passed_over_once_by_all() {
        let departures = Departures::new(Sources::Loopback);
        let (mut one, mut other) = (departures.departure(), departures.departure());
        assert_eq!((one.address(), other.address()), (None, None));
        // Both found the kernel's choice exhausted: only one source is passed over by that.
        assert!(one.is_followed() && other.is_followed());
        let second = Some("127.0.0.2".parse().unwrap());
        assert_eq!((one.address(), other.address()), (second, second));
        assert_eq!(departures.departure().address(), second);
        let mut last = Departures::new(listed("10.0.0.0/30"));
        let mut tried = last.departure();
        assert!(tried.is_followed());
        assert!(!tried.is_followed(), "there are two");
        last = Departures::new(Sources::Kernel);
        assert!(!last.departure().is_followed(), "there is no other");
    }

    #[test]
    fn sources_that_cannot_work_are_refused() {
        let target = "127.0.0.1:1".parse().unwrap();
        let refused = |text: &str| Sources::new(&[text.parse().unwrap()], target).unwrap_err();
        assert!(matches!(refused("::1"), SourceError::Family { .. }));
        assert!(matches!(
            refused("192.0.2.0/24"),
            SourceError::Foreign { .. }
        ));
        let own = Sources::new(&["127.0.0.0/8".parse().unwrap()], target);
        assert_eq!(own.unwrap(), listed("127.0.0.0/8"));
    }
}
