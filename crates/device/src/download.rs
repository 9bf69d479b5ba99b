//! A file fetched block by block from the server, so that its owner sees how far it is (RFC 7959 §2.4).

use coap::{Answered, Block, Code, Outcome, Request, blockwise::SZX_MAX};

/// Largest file a device takes: a firmware image or a recognition model for a small camera.
pub const DOWNLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an address to fetch from can begin with (RFC 7252 §6, RFC 8323 §8).
const COAP_SCHEMES: [&str; 4] = ["coap", "coaps", "coap+tcp", "coaps+tcp"];

/// A block of the largest size over UDP (RFC 7959 §2.2).
const BLOCK_BYTES: usize = 1024;

/// How often one block is asked for again after no answer came, beyond the repetitions of the message itself.
const TRIES_MAX: u32 = 3;

/// What comes next.
pub enum Step {
    /// Ask for this.
    Ask(Box<Request>),
    /// It is all here.
    Complete,
    /// It came to nothing.
    Failed(Option<Code>, String),
}

/// What came of a download that broke off.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// The first bytes of the file.
    pub data: Vec<u8>,
    /// Which version of it.
    pub etag: Option<Vec<u8>>,
}

/// One download.
#[derive(Debug)]
pub struct Download {
    /// The owner's number of the order.
    pub number: u64,
    path: String,
    queries: Vec<String>,
    etag: Option<Vec<u8>>,
    body: Vec<u8>,
    size: Option<u64>,
    /// Block size exponent: the largest over UDP, unless the server wants smaller ones.
    szx: u8,
    tries: u32,
    /// The body began with an earlier download: another ETag then means another file, and not one that is changing.
    is_taken_up: bool,
}

impl Download {
    /// From a URI such as `coaps://host:5684/fw/abc`; the host is the server we are registered with.
    pub fn of_uri(number: u64, uri: &str) -> Result<Self, String> {
        let rest = uri
            .split_once("://")
            .filter(|(scheme, _)| COAP_SCHEMES.contains(scheme))
            .map(|(_, rest)| rest)
            .ok_or_else(|| format!("{uri:.80} is not a CoAP address"))?;
        let (path, query) = match rest.split_once('/') {
            Some((_, path)) => path.split_once('?').unwrap_or((path, "")),
            None => return Err(format!("{uri:.80} has no path")),
        };
        Ok(Self {
            number,
            path: format!("/{path}"),
            queries: query.split('&').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            etag: None,
            body: Vec::new(),
            size: None,
            szx: SZX_MAX,
            tries: 0,
            is_taken_up: false,
        })
    }

    /// The same, taken up where an earlier one broke off. Without an ETag nobody knows whether it is still the same file.
    pub fn from(mut self, begun: Option<Begun>) -> Self {
        if let Some(Begun { mut data, etag: Some(etag) }) = begun {
            // Blocks are counted in whole ones; the largest are asked for first.
            data.truncate(data.len() - data.len() % BLOCK_BYTES);
            self.is_taken_up = !data.is_empty();
            (self.body, self.etag) = (data, self.is_taken_up.then_some(etag));
        }
        self
    }

    /// What is here, and of which version.
    pub fn into_parts(self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.body, self.etag)
    }

    /// Bytes that are here, and of how many.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.body.len() as u64, self.size)
    }

    /// Over a connection the server may take larger blocks than a datagram has room for.
    /// As far as what is here ends with one of them: blocks are numbered by their size.
    pub fn use_blocks(&mut self, szx: u8) {
        let fits = |szx: &u8| Block::at(self.body.len() as u64, false, *szx).is_some();
        self.szx = (self.szx..=szx).rev().find(fits).unwrap_or(self.szx);
    }

    /// The request for the next block.
    pub fn ask(&self) -> Option<Request> {
        let block = Block::at(self.body.len() as u64, false, self.szx)?;
        Some(Request {
            queries: self.queries.clone(),
            block2: Some(block),
            ..Request::new(Code::GET, self.path.clone())
        })
    }

    /// Takes what became of the request for a block.
    pub fn handle(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Answered(answered) if answered.code == Code::CONTENT => self.take(answered),
            // The file ends before the block: it is another one.
            Outcome::Answered(answered) if answered.code == Code::BAD_REQUEST && self.is_taken_up => self.begin_anew(),
            Outcome::Answered(answered) => {
                let detail = String::from_utf8_lossy(&answered.payload).into_owned();
                Step::Failed(Some(answered.code), detail)
            }
            _ => self.try_again("no answer"),
        }
    }

    fn try_again(&mut self, detail: &str) -> Step {
        if self.tries >= TRIES_MAX {
            return Step::Failed(None, detail.to_owned());
        }
        self.tries += 1;
        self.next()
    }

    fn begin_anew(&mut self) -> Step {
        (self.body, self.etag, self.size, self.is_taken_up) = (Vec::new(), None, None, false);
        self.next()
    }

    fn take(&mut self, answered: Answered) -> Step {
        if self.etag.is_some() && self.etag != answered.etag {
            if self.is_taken_up {
                return self.begin_anew();
            }
            return Step::Failed(None, "the file changed while it was fetched".to_owned());
        }
        self.etag = answered.etag;
        self.is_taken_up = false;
        self.size = answered.size2.map(u64::from).or(self.size);
        // A server that knows no blocks answers with the whole.
        let block = answered.block2.unwrap_or(Block { num: 0, more: false, szx: SZX_MAX });
        if block.offset() != self.body.len() as u64 {
            return self.try_again("the server sends other blocks than it is asked for");
        }
        if block.more && !block.is_full(answered.payload.len()) {
            return Step::Failed(None, "a block is not as long as it says".to_owned());
        }
        if self.body.len() + answered.payload.len() > DOWNLOAD_BYTES_MAX {
            return Step::Failed(None, format!("larger than {DOWNLOAD_BYTES_MAX} bytes"));
        }
        self.tries = 0;
        self.body.extend_from_slice(&answered.payload);
        // RFC 7959 §2.4: the server may want smaller blocks than we asked for, never larger ones.
        self.szx = self.szx.min(block.szx);
        if block.more {
            return self.next();
        }
        match self.size {
            Some(size) if size != self.body.len() as u64 => {
                Step::Failed(None, format!("{} bytes came of {size}", self.body.len()))
            }
            _ => Step::Complete,
        }
    }

    fn next(&self) -> Step {
        let too_many = || Step::Failed(None, "more blocks than can be numbered".to_owned());
        self.ask().map_or_else(too_many, |request| Step::Ask(Box::new(request)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]
    use super::*;
    use coap::Token;

    fn block(num: u32, more: bool, etag: u8, payload: Vec<u8>) -> Outcome {
        Outcome::Answered(Answered {
            code: Code::CONTENT,
            token: Token::EMPTY,
            content_format: None,
            observe: None,
            etag: Some(vec![etag]),
            max_age: None,
            location: Vec::new(),
            block2: Some(Block { num, more, szx: SZX_MAX }),
            size2: Some(1_500),
            payload,
        })
    }

    fn download() -> Download {
        Download::of_uri(7, "coaps://127.0.0.1:5684/fw/abc?x=1").unwrap()
    }

    #[test]
    fn blocks_make_a_file() {
        let mut download = download();
        assert_eq!(download.ask().unwrap().path, "/fw/abc");

        assert!(matches!(download.handle(block(0, true, 1, vec![1; 1024])), Step::Ask(_)));
        assert_eq!(download.progress(), (1024, Some(1500)));
        assert!(matches!(download.handle(block(1, false, 1, vec![2; 476])), Step::Complete));

        let (body, etag) = download.into_parts();
        assert_eq!((body.len(), etag), (1500, Some(vec![1])));
    }

    #[test]
    fn a_block_that_comes_twice_counts_once() {
        let mut download = download();

        let _ = download.handle(block(0, true, 1, vec![1; 1024]));
        let _ = download.handle(block(0, true, 1, vec![1; 1024]));

        assert_eq!(download.progress().0, 1024);
    }

    #[test]
    fn a_server_that_wants_smaller_blocks_gets_them() {
        let mut download = download();
        let Outcome::Answered(mut smaller) = block(0, true, 1, vec![1; 256]) else { unreachable!() };
        smaller.block2 = Some(Block { num: 0, more: true, szx: 4 });

        let Step::Ask(request) = download.handle(Outcome::Answered(smaller)) else { panic!("not asked") };

        assert_eq!(request.block2, Some(Block { num: 1, more: false, szx: 4 }));
    }

    #[test]
    fn a_file_is_never_complete_before_its_last_byte() {
        let mut download = download();
        let _ = download.handle(block(0, true, 1, vec![1; 1024]));

        assert!(
            matches!(download.handle(block(3, false, 1, vec![2; 4])), Step::Ask(_)),
            "another block than asked for"
        );
        let Outcome::Answered(mut whole) = block(0, false, 1, vec![2; 4]) else { unreachable!() };
        whole.block2 = None;
        assert!(matches!(download.handle(Outcome::Answered(whole)), Step::Ask(_)), "no block at all");
        assert!(matches!(download.handle(block(1, false, 1, vec![2; 4])), Step::Failed(None, _)), "1028 of 1500 bytes");
    }

    #[test]
    fn a_block_that_is_shorter_than_it_says_is_refused() {
        assert!(matches!(download().handle(block(0, true, 1, vec![1; 1000])), Step::Failed(None, _)));
    }

    #[test]
    fn a_file_that_changes_on_the_way_is_not_mixed() {
        let mut download = download();

        let _ = download.handle(block(0, true, 1, vec![1; 1024]));

        assert!(matches!(download.handle(block(1, false, 2, vec![2; 4])), Step::Failed(None, _)));
    }

    #[test]
    fn what_broke_off_is_taken_up_at_the_last_whole_block() {
        let begun = Begun { data: vec![1; 1_400], etag: Some(vec![1]) };
        let mut download = download().from(Some(begun));

        assert_eq!(download.ask().unwrap().block2, Some(Block { num: 1, more: false, szx: SZX_MAX }));
        assert!(matches!(download.handle(block(1, false, 1, vec![2; 476])), Step::Complete));
        assert_eq!(download.into_parts().0.len(), 1500);
    }

    #[test]
    fn what_broke_off_of_another_file_is_thrown_away() {
        let begun = || Some(Begun { data: vec![1; 1_400], etag: Some(vec![9]) });
        let mut other = download().from(begun());
        let mut shorter = download().from(begun());
        let Outcome::Answered(mut refusal) = block(0, false, 1, Vec::new()) else { unreachable!() };
        refusal.code = Code::BAD_REQUEST;

        for step in [other.handle(block(1, false, 1, vec![2; 476])), shorter.handle(Outcome::Answered(refusal))] {
            let Step::Ask(request) = step else { panic!("not asked") };
            assert_eq!(request.block2, Some(Block { num: 0, more: false, szx: SZX_MAX }));
        }
        let unnamed = Begun { data: vec![1; 2_048], etag: None };
        assert_eq!(download().from(Some(unnamed)).progress().0, 0, "nobody knows of which file that is");
    }

    #[test]
    fn no_answer_is_tried_again_a_few_times() {
        let mut download = download();

        for _ in 0..TRIES_MAX {
            assert!(matches!(download.handle(Outcome::TimedOut { acknowledged: false }), Step::Ask(_)));
        }

        assert!(matches!(download.handle(Outcome::TimedOut { acknowledged: false }), Step::Failed(None, _)));
    }

    #[test]
    fn a_refusal_carries_its_code() {
        let mut download = download();
        let Outcome::Answered(mut refusal) = block(0, false, 1, Vec::new()) else { unreachable!() };
        refusal.code = Code::NOT_FOUND;

        let step = download.handle(Outcome::Answered(refusal));

        assert!(matches!(step, Step::Failed(Some(Code::NOT_FOUND), _)));
    }

    #[test]
    fn what_is_no_coap_address_is_refused() {
        assert!(Download::of_uri(1, "http://127.0.0.1/x").is_err());
        assert!(Download::of_uri(1, "coaps://127.0.0.1").is_err());
        assert!(Download::of_uri(1, "coaps+tcp://127.0.0.1/fw/abc").is_ok());
    }
}
