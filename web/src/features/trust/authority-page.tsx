/** One authority of our own: is it well, what did it issue, and what of that ends soon? The filter is the address. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useBlockedBy } from "../../api/actions";
import { Problem, type Shown, why } from "../../api/client";
import { authorityQuery, type IssuedFilter, type Reason } from "../../api/trust";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { FilterSelect, SearchField } from "../../ui/field";
import { Filters } from "../../ui/filters";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page, Section } from "../../ui/page";
import { saveFile } from "../../ui/save-file";
import { clockTime, date, plural } from "../../ui/words";
import { End, Fact, Facts } from "./area";
import { standing } from "./authorities-page";
import { REASONS, RetireDialog, RevokeDialog, SuccessorDialog } from "./authority-dialogs";
import css from "./trust.module.css";
import type { Authority } from "./words";

type Screen = Shown["AuthorityScreen"];

export function AuthorityPage() {
  const { authority: id } = useParams({ from: "/inside/trust/authorities/$authority" });
  const filter = useSearch({ from: "/inside/trust/authorities/$authority" });
  const query = useInfiniteQuery(authorityQuery(id, filter));
  const first = query.data?.pages[0];
  const isRefused = query.error instanceof Problem && query.error.status === 403;
  return (
    <Page
      title={first?.authority.name ?? "Own authority"}
      documentTitle={first?.authority.name ?? "Own authority"}
      at={first?.at}
      crumbs={<Link to="/trust/authorities">Own authorities</Link>}
    >
      {isRefused && (
        <div className="card">
          <Empty title="The authorities of your company are for administrators." />
        </div>
      )}
      {query.isError && !isRefused && (
        <div className={`card ${css.block}`}>
          <Failed
            what="The authority could not be loaded"
            why={why(query.error)}
            dataFrom={first ? clockTime(new Date(query.dataUpdatedAt)) : null}
            onRetry={() => void query.refetch()}
          />
        </div>
      )}
      {query.isPending && (
        <div className="card">
          <Skeleton rows={6} height={60} label="Loading the authority" />
        </div>
      )}
      {first && (
        <>
          <About screen={first} />
          <Section title="What it issued">
            <Narrow filter={filter} />
            <div className="card">
              <Certificates
                lines={query.data?.pages.flatMap((page) => page.certificates) ?? []}
                filter={filter}
                isOld={query.isPlaceholderData}
              />
              {query.hasNextPage && (
                <div className="pad">
                  <Button isBusy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                    More
                  </Button>
                </div>
              )}
            </div>
          </Section>
        </>
      )}
    </Page>
  );
}

function About({ screen }: { screen: Screen }) {
  const { authority, roots } = screen;
  const blockedBy = useBlockedBy("administer");
  const [asked, setAsked] = useState<"successor" | "retire" | null>(null);
  const close = () => setAsked(null);
  return (
    <section className={`card pad ${css.block} ${css.authority}`} aria-label="Authority">
      <p className={css.what}>
        <b>{standing(authority)}</b>
        {authority.not_after && authority.state !== "retired" && (
          <End at={authority.not_after} isSoon={authority.ends_soon} />
        )}
      </p>
      <Advice authority={authority} />
      <Facts>
        <Fact name="Subject">{authority.subject}</Fact>
        <Fact name="SHA-256">
          <code>{authority.fingerprint}</code>
        </Fact>
        <Fact name="Key on">{authority.curve}</Fact>
        {authority.created_at && (
          <Fact name="Made">
            <Age at={authority.created_at} />
            {authority.created_by && ` by ${authority.created_by}`}
          </Fact>
        )}
        <Fact name="Id">
          <code>{authority.id}</code>
        </Fact>
      </Facts>
      <div className={css.acts}>
        <Button onClick={() => saveFile(authority.trust, `${authority.id}.pem`)}>Download the certificate</Button>
        {authority.state === "current" && (
          <Button blockedBy={blockedBy} onClick={() => setAsked("successor")}>
            Make a successor
          </Button>
        )}
        {authority.state !== "retired" && (
          <Button look="danger" blockedBy={blockedBy} onClick={() => setAsked("retire")}>
            Retire it
          </Button>
        )}
      </div>
      <p className="small muted">
        The certificate is what devices and servers are to trust{authority.levels > 1 && ", with those above it"}. It
        holds no secret.
      </p>
      {asked === "successor" && <SuccessorDialog authority={authority} roots={roots} onClose={close} />}
      {asked === "retire" && <RetireDialog authority={authority} onClose={close} />}
    </section>
  );
}

/** How far a change has come, and what to do next. */
function Advice({ authority }: { authority: Authority }) {
  const { state, devices, successor, succeeds, has_key } = authority;
  const users = devices === 0 ? "No device" : plural(devices, "device");
  if (state === "retired") return <p>Nothing that it issued counts any more.</p>;
  if (state === "retiring") {
    return (
      <p className={css.soon}>
        <Other named={successor}>Its successor</Other> issues now.{" "}
        {devices === 0
          ? "No device needs this one any more: retire it."
          : `${users} ${devices === 1 ? "has" : "have"} not changed over: leave it until none is left.`}
      </p>
    );
  }
  if (!has_key) {
    return (
      <p className={css.bad}>Its key was lost with an earlier master key. Make a successor, which has a new one.</p>
    );
  }
  return (
    <p>
      {users} showed a certificate of it last.{" "}
      {succeeds && (
        <>
          It takes over from <Other named={succeeds}>another one</Other>.
        </>
      )}
    </p>
  );
}

function Other({ named, children }: { named: Shown["AuthorityNamed"] | null; children: string }) {
  if (!named) return children;
  return (
    <Link to="/trust/authorities/$authority" params={{ authority: named.id }}>
      {named.name} ({named.id})
    </Link>
  );
}

function Narrow({ filter }: { filter: IssuedFilter }) {
  const navigate = useNavigate({ from: "/trust/authorities/$authority" });
  const set = (change: IssuedFilter) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: false });
  return (
    <Filters>
      <SearchField
        label="Whole name of a device or server"
        value={filter.q ?? ""}
        onSettled={(q) => set({ q: q || undefined })}
      />
      <FilterSelect
        label="Show"
        value={filter.show ?? ""}
        onChange={(event) => set({ show: (event.target.value || undefined) as IssuedFilter["show"] })}
      >
        <option value="">not ended</option>
        <option value="soon">ends in 30 days</option>
        <option value="all">all</option>
      </FilterSelect>
    </Filters>
  );
}

function Certificates({
  lines,
  filter,
  isOld,
}: {
  lines: Shown["CertificateLine"][];
  filter: IssuedFilter;
  isOld: boolean;
}) {
  if (lines.length === 0) return <NoLines filter={filter} />;
  return (
    <ul className={isOld ? css.old : undefined} aria-busy={isOld}>
      {lines.map((line) => (
        <Certificate key={line.id} line={line} />
      ))}
    </ul>
  );
}

function NoLines({ filter }: { filter: IssuedFilter }) {
  if (filter.q) {
    return (
      <Empty title={`Nothing here is for ${filter.q}.`}>
        <p>Is the name whole? Certificates that have ended are shown under “all”.</p>
      </Empty>
    );
  }
  if (filter.show === "soon") return <Empty title="Nothing ends within 30 days." />;
  return (
    <Empty title={filter.show === "all" ? "It has issued nothing yet." : "It has issued nothing that has not ended."}>
      <p>
        Devices fetch certificates by themselves (EST), or you issue them with <code>shoal ca issue</code>.
      </p>
    </Empty>
  );
}

function Certificate({ line }: { line: Shown["CertificateLine"] }) {
  const blockedBy = useBlockedBy("administer");
  const [isAsked, setAsked] = useState(false);
  return (
    <li className={`${css.line} ${line.state === "good" ? "" : css.over}`}>
      <div className={css.about}>
        <p className={css.what}>
          <b>{line.subject}</b>
          {line.usage === "server" && <span className="muted">server</span>}
          <Standing line={line} />
        </p>
        <p className={`small muted ${css.what}`}>
          {line.names.length > 0 && <span>also {line.names.join(", ")}</span>}
          {line.issued_at && (
            <span>
              issued {date(new Date(line.issued_at))}
              {line.issued_by && line.issued_by !== line.subject && ` by ${line.issued_by}`}
            </span>
          )}
          <span>
            serial <code>{line.serial}</code>
          </span>
        </p>
      </div>
      {line.state === "good" && (
        <Button
          look="danger"
          blockedBy={blockedBy}
          aria-label={`Revoke the certificate of ${line.subject}, serial ${line.serial}`}
          onClick={() => setAsked(true)}
        >
          Revoke
        </Button>
      )}
      {isAsked && <RevokeDialog certificate={line} onClose={() => setAsked(false)} />}
    </li>
  );
}

function Standing({ line }: { line: Shown["CertificateLine"] }) {
  switch (line.state) {
    case "good":
      return line.not_after && <End at={line.not_after} isSoon={line.ends_soon} />;
    case "expired":
      return <span>Ended {line.not_after && date(new Date(line.not_after))}</span>;
    case "revoked":
      return (
        <span>
          Revoked {line.revoked_at && <Age at={line.revoked_at} />}
          {isReason(line.reason) && line.reason !== "unspecified" && `: ${REASONS[line.reason]}`}
        </span>
      );
  }
}

function isReason(text: string): text is Reason {
  return text in REASONS;
}
