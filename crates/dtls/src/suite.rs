//! The cipher suites we speak.

/// A cipher suite: AES-128, by a pre-shared key or by certificates on elliptic curves; in TLS 1.3 by either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `TLS_PSK_WITH_AES_128_CCM_8` (RFC 6655), mandatory in LwM2M.
    PskAes128Ccm8,
    /// `TLS_PSK_WITH_AES_128_GCM_SHA256` (RFC 5487).
    PskAes128GcmSha256,
    /// `TLS_PSK_WITH_AES_128_CBC_SHA256` (RFC 5487).
    PskAes128CbcSha256,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8` (RFC 7251), mandatory in LwM2M where there are certificates.
    EcdheEcdsaAes128Ccm8,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256` (RFC 5289).
    EcdheEcdsaAes128GcmSha256,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256` (RFC 5289).
    EcdheEcdsaAes128CbcSha256,
    /// `TLS_AES_128_GCM_SHA256` (RFC 8446), mandatory in TLS 1.3.
    Aes128GcmSha256,
    /// `TLS_AES_128_CCM_SHA256` (RFC 8446).
    Aes128CcmSha256,
    /// `TLS_AES_128_CCM_8_SHA256` (RFC 8446).
    Aes128Ccm8Sha256,
}

impl Suite {
    /// All of DTLS 1.2 and TLS 1.2, the one we like best first: LwM2M's mandatory suites, which are also the shorter on the air. Whoever
    /// offers a pre-shared key has one; certificates are offered by libraries that have none, too.
    pub const ALL: [Self; 6] = [
        Self::PskAes128Ccm8,
        Self::PskAes128GcmSha256,
        Self::PskAes128CbcSha256,
        Self::EcdheEcdsaAes128Ccm8,
        Self::EcdheEcdsaAes128GcmSha256,
        Self::EcdheEcdsaAes128CbcSha256,
    ];

    /// All of TLS 1.3, where bytes on the air are not what a connection is chosen for: the strongest tags first.
    pub const TLS13: [Self; 3] = [Self::Aes128GcmSha256, Self::Aes128CcmSha256, Self::Aes128Ccm8Sha256];

    /// The number in the TLS registry.
    pub const fn code(self) -> u16 {
        match self {
            Self::PskAes128Ccm8 => 0xC0A8,
            Self::PskAes128GcmSha256 => 0x00A8,
            Self::PskAes128CbcSha256 => 0x00AE,
            Self::EcdheEcdsaAes128Ccm8 => 0xC0AE,
            Self::EcdheEcdsaAes128GcmSha256 => 0xC02B,
            Self::EcdheEcdsaAes128CbcSha256 => 0xC023,
            Self::Aes128GcmSha256 => 0x1301,
            Self::Aes128CcmSha256 => 0x1304,
            Self::Aes128Ccm8Sha256 => 0x1305,
        }
    }

    /// The name in the TLS registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PskAes128Ccm8 => "TLS_PSK_WITH_AES_128_CCM_8",
            Self::PskAes128GcmSha256 => "TLS_PSK_WITH_AES_128_GCM_SHA256",
            Self::PskAes128CbcSha256 => "TLS_PSK_WITH_AES_128_CBC_SHA256",
            Self::EcdheEcdsaAes128Ccm8 => "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            Self::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::EcdheEcdsaAes128CbcSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
            Self::Aes128GcmSha256 => "TLS_AES_128_GCM_SHA256",
            Self::Aes128CcmSha256 => "TLS_AES_128_CCM_SHA256",
            Self::Aes128Ccm8Sha256 => "TLS_AES_128_CCM_8_SHA256",
        }
    }

    /// Whether the two ends show certificates, rather than holding a key in common. A suite of TLS 1.3 says neither.
    pub const fn has_certificates(self) -> bool {
        matches!(self, Self::EcdheEcdsaAes128Ccm8 | Self::EcdheEcdsaAes128GcmSha256 | Self::EcdheEcdsaAes128CbcSha256)
    }

    /// Whether it protects a record in one step (RFC 5116).
    pub const fn is_aead(self) -> bool {
        !matches!(self, Self::PskAes128CbcSha256 | Self::EcdheEcdsaAes128CbcSha256)
    }

    pub(crate) fn of_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().chain(Self::TLS13).find(|suite| suite.code() == code)
    }
}
