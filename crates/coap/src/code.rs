//! Method, response and signalling codes (RFC 7252 §12.1, RFC 7959 §2.9, RFC 8132 §6, RFC 8323 §11.1).

use std::fmt;

/// What a message is: nothing (an empty message), a request or a response. Written `class.detail`, as in `2.05`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u8);

impl Code {
    /// 0.00: an acknowledgement or reset without more to say, or a ping.
    pub const EMPTY: Self = Self::of(0, 0);
    /// 0.01
    pub const GET: Self = Self::of(0, 1);
    /// 0.02
    pub const POST: Self = Self::of(0, 2);
    /// 0.03
    pub const PUT: Self = Self::of(0, 3);
    /// 0.04
    pub const DELETE: Self = Self::of(0, 4);
    /// 0.05 (RFC 8132): a read that needs a payload to say what.
    pub const FETCH: Self = Self::of(0, 5);
    /// 0.06 (RFC 8132)
    pub const PATCH: Self = Self::of(0, 6);
    /// 0.07 (RFC 8132): a partial write that may be repeated without harm.
    pub const IPATCH: Self = Self::of(0, 7);
    /// 2.01
    pub const CREATED: Self = Self::of(2, 1);
    /// 2.02
    pub const DELETED: Self = Self::of(2, 2);
    /// 2.03
    pub const VALID: Self = Self::of(2, 3);
    /// 2.04
    pub const CHANGED: Self = Self::of(2, 4);
    /// 2.05
    pub const CONTENT: Self = Self::of(2, 5);
    /// 2.31 (RFC 7959 §2.9.1): this block arrived, send the next.
    pub const CONTINUE: Self = Self::of(2, 31);
    /// 4.00
    pub const BAD_REQUEST: Self = Self::of(4, 0);
    /// 4.01
    pub const UNAUTHORIZED: Self = Self::of(4, 1);
    /// 4.02
    pub const BAD_OPTION: Self = Self::of(4, 2);
    /// 4.03
    pub const FORBIDDEN: Self = Self::of(4, 3);
    /// 4.04
    pub const NOT_FOUND: Self = Self::of(4, 4);
    /// 4.05
    pub const METHOD_NOT_ALLOWED: Self = Self::of(4, 5);
    /// 4.06
    pub const NOT_ACCEPTABLE: Self = Self::of(4, 6);
    /// 4.08 (RFC 7959 §2.9.2): a block is missing.
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::of(4, 8);
    /// 4.09 (RFC 8132)
    pub const CONFLICT: Self = Self::of(4, 9);
    /// 4.12
    pub const PRECONDITION_FAILED: Self = Self::of(4, 12);
    /// 4.13
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::of(4, 13);
    /// 4.15
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::of(4, 15);
    /// 4.22 (RFC 8132)
    pub const UNPROCESSABLE_ENTITY: Self = Self::of(4, 22);
    /// 4.29 (RFC 8516)
    pub const TOO_MANY_REQUESTS: Self = Self::of(4, 29);
    /// 5.00
    pub const INTERNAL_SERVER_ERROR: Self = Self::of(5, 0);
    /// 5.01
    pub const NOT_IMPLEMENTED: Self = Self::of(5, 1);
    /// 5.02
    pub const BAD_GATEWAY: Self = Self::of(5, 2);
    /// 5.03
    pub const SERVICE_UNAVAILABLE: Self = Self::of(5, 3);
    /// 5.04
    pub const GATEWAY_TIMEOUT: Self = Self::of(5, 4);
    /// 5.05
    pub const PROXYING_NOT_SUPPORTED: Self = Self::of(5, 5);

    /// 7.01 (RFC 8323 §5.3): capabilities and settings, the first message of either side of a connection.
    pub const CSM: Self = Self::of(7, 1);
    /// 7.02 (RFC 8323 §5.4)
    pub const PING: Self = Self::of(7, 2);
    /// 7.03 (RFC 8323 §5.4)
    pub const PONG: Self = Self::of(7, 3);
    /// 7.04 (RFC 8323 §5.5): the sender wants the connection to end in an orderly way.
    pub const RELEASE: Self = Self::of(7, 4);
    /// 7.05 (RFC 8323 §5.6): the sender ends the connection now.
    pub const ABORT: Self = Self::of(7, 5);

    /// The code written `class.detail`; bits beyond 3 and 5 are dropped.
    #[must_use]
    pub const fn of(class: u8, detail: u8) -> Self {
        Self((class & 0b111) << 5 | detail & 0b1_1111)
    }

    /// The part before the point: 0 request, 2 success, 4 the asker's fault, 5 the answerer's.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The part after the point.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 0b1_1111
    }

    /// 0.00
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// 0.01 to 0.31
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.0 != 0
    }

    /// 2.00 to 5.31
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2..=5)
    }

    /// 2.xx
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// 7.xx: about the connection itself (RFC 8323 §5.1).
    #[must_use]
    pub const fn is_signal(self) -> bool {
        self.class() == 7
    }

    /// Classes 1, 6 and 7, which mean nothing over UDP (RFC 7252 §3).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self.class(), 1 | 6 | 7)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn a_code_reads_as_the_specifications_write_it() {
        assert_eq!(Code::CONTENT.to_string(), "2.05");
        assert_eq!(Code::CONTINUE.to_string(), "2.31");
        assert_eq!(Code::REQUEST_ENTITY_TOO_LARGE.to_string(), "4.13");
        assert_eq!(Code(0x45), Code::CONTENT);
    }

    #[test]
    fn every_code_is_exactly_one_of_empty_request_response_or_reserved() {
        for byte in 0..=u8::MAX {
            let code = Code(byte);
            let claims = [code.is_empty(), code.is_request(), code.is_response(), code.is_reserved()];
            assert_eq!(claims.iter().filter(|claim| **claim).count(), 1, "{code}");
            assert_eq!(Code::of(code.class(), code.detail()), code);
        }
    }
}
