//! Names of requests, by which the log and an answer are brought together. It keeps none of them.

/// Makes names for requests that come without one.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    count: u64,
}

impl Default for RequestIds {
    /// With numbers of its own after each start.
    fn default() -> Self {
        let prefix = getrandom::u64().expect("the kernel has random bytes");
        Self { prefix, count: 0 }
    }
}

impl RequestIds {
    /// A name no other request has.
    pub fn make(&mut self) -> String {
        self.count += 1;
        format!("{:016x}", self.prefix.wrapping_add(self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}
