/** If this opens at three in the morning: who is told, how and when? Policies in their order, and a rehearsal. */
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useBlockedBy } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { useOrderPolicies } from "../../api/escalation";
import { rehearsalQuery, type Severity } from "../../api/queries";
import { Time } from "../../ui/age";
import { Button, buttonClass } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { FilterSelect } from "../../ui/field";
import { Empty, Failed, Skeleton, Wrong } from "../../ui/notice";
import { moment } from "../../ui/words";
import { Area, type Screen } from "./area";
import css from "./escalation.module.css";
import { Picture } from "./picture";
import { frames, refusal, repeats, severities, span, way } from "./said";
import { EVERYBODY } from "./steps";

type Policy = Shown["PolicyShown"];

const SEVERITIES: Severity[] = ["critical", "high", "warning", "informational"];

export function EscalationPage() {
  return (
    <Area
      title="Escalation"
      actions={
        <Link to="/escalation/$policy" params={{ policy: "new" }} className={buttonClass("primary")}>
          New policy
        </Link>
      }
    >
      {(screen) => (
        <div className={css.panes}>
          <Policies screen={screen} />
          <Rehearsal screen={screen} />
        </div>
      )}
    </Area>
  );
}

function Policies({ screen }: { screen: Screen }) {
  const order = useOrderPolicies();
  const blockedBy = useBlockedBy("administer");
  const own = screen.policies.filter((policy) => !policy.is_default);
  const move = (index: number, by: number) => {
    const ids = own.map((policy) => policy.id);
    ids.splice(index + by, 0, ...ids.splice(index, 1));
    order.mutate(ids);
  };
  return (
    <section className={css.stack} aria-label="Policies">
      {screen.contacts.length === 0 && (
        <div className="card">
          <Empty title="Nobody would be told: there are no contacts yet.">
            <p>
              <Link to="/settings/contacts">Add the first one</Link>
            </p>
          </Empty>
        </div>
      )}
      {order.isError && <Wrong>{refusal(order.error, "Not moved")}</Wrong>}
      {own.length > 1 && <p className="muted small">The first policy that is for an alert is its own.</p>}
      {screen.policies.map((policy, index) => (
        <PolicyCard
          key={policy.id}
          policy={policy}
          onEarlier={index > 0 && !policy.is_default ? () => move(index, -1) : null}
          onLater={index < own.length - 1 ? () => move(index, 1) : null}
          blockedBy={blockedBy}
        />
      ))}
    </section>
  );
}

function PolicyCard({
  policy,
  onEarlier,
  onLater,
  blockedBy,
}: {
  policy: Policy;
  onEarlier: (() => void) | null;
  onLater: (() => void) | null;
  blockedBy: string | null;
}) {
  const places = policy.places.map((place) => place.name).join("; ") || "everywhere";
  return (
    <article className="card pad" aria-label={policy.name}>
      <div className={css.head}>
        <h2>
          <Link to="/escalation/$policy" params={{ policy: policy.id }}>
            {policy.name}
          </Link>
        </h2>
        <span className="space" />
        {onEarlier && (
          <Button look="mini" onClick={onEarlier} blockedBy={blockedBy} aria-label={`Ask ${policy.name} earlier`}>
            Earlier
          </Button>
        )}
        {onLater && (
          <Button look="mini" onClick={onLater} blockedBy={blockedBy} aria-label={`Ask ${policy.name} later`}>
            Later
          </Button>
        )}
      </div>
      <p className="muted">
        {policy.is_default ? "All alerts that no other policy is for" : `${severities(policy.severities)}, ${places}`}
      </p>
      <Picture
        steps={policy.steps.map((step) => ({ ...step, who: step.who.map((who) => who.name) }))}
        end={repeats(policy, policy.steps.at(-1)?.who.some((who) => who.id === EVERYBODY) ?? false)}
      />
      <p className="small muted">{frames(policy)}</p>
    </article>
  );
}

function Rehearsal({ screen }: { screen: Screen }) {
  const search = useSearch({ from: "/inside/escalation" });
  const navigate = useNavigate();
  const severity = search.severity ?? "critical";
  const { data, error, isError, refetch } = useQuery(rehearsalQuery(severity, search.place));
  const set = (change: { severity?: Severity; place?: string | undefined }) =>
    void navigate({ to: "/escalation", search: (before: object) => ({ ...before, ...change }), replace: true });
  return (
    <section className={`card pad ${css.rehearsal}`} aria-label="Rehearsal">
      <h2>Rehearsal</h2>
      <p className="muted">Who would be told if this opened now. Nobody is told anything.</p>
      <search className={css.asked}>
        <FilterSelect
          label="Severity"
          value={severity}
          onChange={(event) => set({ severity: SEVERITIES.find((each) => each === event.target.value) })}
        >
          {SEVERITIES.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </FilterSelect>
        <FilterSelect
          label="Place"
          value={search.place ?? ""}
          onChange={(event) => set({ place: event.target.value || undefined })}
        >
          <option value="">anywhere</option>
          {screen.places.map((place) => (
            <option key={place.id} value={place.id}>
              {place.name}
            </option>
          ))}
        </FilterSelect>
      </search>
      {isError && <Failed what="The rehearsal could not be loaded" why={why(error)} onRetry={() => void refetch()} />}
      {data ? <Calls said={data} /> : !isError && <Skeleton rows={3} label="Loading the rehearsal" />}
    </section>
  );
}

function Calls({ said }: { said: Shown["RehearsalScreen"] }) {
  const now = useNow(60_000);
  return (
    <>
      <p>
        By <b>{said.policy_name}</b>:
      </p>
      <ol className={css.calls}>
        {said.calls.map((call) => (
          <li key={`${call.round}-${call.step}`}>
            <Time at={call.at} text={moment(new Date(call.at), now)} className={css.when} />
            <span>
              {call.who.join(", ") || "Nobody: there are no contacts"}{" "}
              <span className="muted">
                {call.channels.length > 0 && `by ${call.channels.map(way).join(call.at_once ? " and " : " or ")}`}
                {call.step === null && ", because nobody took it"}
              </span>
            </span>
          </li>
        ))}
      </ol>
      <p className="small muted">
        {said.acknowledge_s === null
          ? "Nobody has to take it in time, so it is told once."
          : `To be taken within ${span(said.acknowledge_s)}.`}{" "}
        {said.resolve_s !== null && `Once taken, to be resolved within ${span(said.resolve_s)}.`}
      </p>
    </>
  );
}
