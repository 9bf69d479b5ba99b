//! The cipher suites we speak.

/// A cipher suite; both are PSK with AES-128 (RFC 6655, RFC 5487).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `TLS_PSK_WITH_AES_128_CCM_8`, mandatory in LwM2M.
    PskAes128Ccm8,
    /// `TLS_PSK_WITH_AES_128_GCM_SHA256`.
    PskAes128GcmSha256,
}

impl Suite {
    /// All of them, the one we like best first: LwM2M's mandatory suite, which is also the shorter on the air.
    pub const ALL: [Self; 2] = [Self::PskAes128Ccm8, Self::PskAes128GcmSha256];

    /// The number in the TLS registry.
    pub const fn code(self) -> u16 {
        match self {
            Self::PskAes128Ccm8 => 0xC0A8,
            Self::PskAes128GcmSha256 => 0x00A8,
        }
    }

    /// The name in the TLS registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PskAes128Ccm8 => "TLS_PSK_WITH_AES_128_CCM_8",
            Self::PskAes128GcmSha256 => "TLS_PSK_WITH_AES_128_GCM_SHA256",
        }
    }

    pub(crate) fn of_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.code() == code)
    }
}
