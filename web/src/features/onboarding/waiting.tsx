/** Is the new device here? Four ticks that fill by themselves, and each refusal with what to do. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { type Shown, why } from "../../api/client";
import { arrivalQuery } from "../../api/queries";
import { Age, Span } from "../../ui/age";
import { buttonClass } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { Icon } from "../../ui/icon";
import { Failed, Skeleton, Wrong } from "../../ui/notice";
import { count } from "../../ui/words";
import css from "./onboarding.module.css";

type Arrival = Shown["ArrivalScreen"];
/** After this a person should look for a cause instead of waiting on. */
const PATIENCE_MS = 10 * 60_000;

export function Waiting({ device }: { device: string }) {
  const { data, isError, error, refetch } = useQuery(arrivalQuery(device));
  if (!data) {
    return (
      <section className={`card ${css.narrow}`}>
        {isError ? (
          <Failed what="The new device could not be loaded" why={why(error)} onRetry={() => void refetch()} />
        ) : (
          <Skeleton rows={4} label="Loading the new device" />
        )}
      </section>
    );
  }
  return <Steps arrival={data} />;
}

export function Steps({ arrival }: { arrival: Arrival }) {
  const isRegistered = arrival.registered_at !== null;
  const isPlaced = isRegistered && arrival.place_state === "agreed";
  return (
    <section className={`card pad ${css.narrow} ${css.waiting}`} aria-label="Is it here">
      <h2>
        <span className={css.verdict} role="status">
          {isRegistered ? (
            <>
              <Icon name="healthy" size={20} className={css.here} /> {arrival.endpoint} is here
            </>
          ) : (
            `Waiting for the first contact of ${arrival.endpoint}`
          )}
        </span>
      </h2>
      <ol className={css.steps}>
        <Step isDone={isRegistered} text="It was let in">
          {arrival.refused && <Refused line={arrival.refused} />}
        </Step>
        <Step isDone={isRegistered} text="It registered">
          {arrival.registered_at && <Age at={arrival.registered_at} className="muted" />}
        </Step>
        <Step isDone={isPlaced} text={placeText(arrival)} />
        <Step isDone={arrival.reading_at !== null} text="Its first reading came">
          {arrival.reading_at && <Age at={arrival.reading_at} className="muted" />}
        </Step>
      </ol>
      {!isRegistered && <Meanwhile arrival={arrival} />}
      <Link to="/devices/$device" params={{ device: arrival.id }} className={buttonClass("primary")}>
        Open its page
      </Link>
    </section>
  );
}

function placeText({ registered_at, place_state, claimed, enclosure_name }: Arrival): string {
  if (registered_at !== null && place_state !== "agreed") return `It says that it is in ${claimed || "another place"}`;
  if (registered_at === null) return `Its place is agreed: ${enclosure_name || "no enclosure yet"}`;
  return enclosure_name ? `It is in ${enclosure_name}` : "It has no enclosure yet";
}

function Step({ isDone, text, children }: { isDone: boolean; text: string; children?: ReactNode }) {
  return (
    <li className={isDone ? css.done : css.open}>
      <Icon name={isDone ? "healthy" : "new"} />
      <span className="sr">{isDone ? "Done: " : "Not yet: "}</span>
      <div>
        {text} {children}
      </div>
    </li>
  );
}

function Refused({ line }: { line: Shown["SecurityLine"] }) {
  return (
    <Wrong>
      Refused {line.count === 1 ? "once" : `${count(line.count)} times`}, last <Age at={line.last_at} />:{" "}
      {line.title.toLowerCase()}. {line.remedy}
    </Wrong>
  );
}

/** What may be in the way: a name that nobody has, or nothing that ever reached us. */
function Meanwhile({ arrival }: { arrival: Arrival }) {
  const [began] = useState(() => new Date(arrival.at));
  const now = useNow();
  return (
    <div className={css.meanwhile}>
      {arrival.strangers.map((line) => (
        <p key={line.id}>
          A device with the identity <q>{line.who}</q> was not let in <Age at={line.last_at} />. If that is this one,
          its identity has to be <q>{arrival.identity}</q>.
        </p>
      ))}
      {arrival.strangers.length === 0 && !arrival.refused && (
        <p className="muted">
          Nothing has come from it yet, for <Span since={began} />. Switch it on; this page goes on by itself.
        </p>
      )}
      {now - began.getTime() > PATIENCE_MS && (
        <ul className={css.checks}>
          <li>Has it power, and a link to the network?</li>
          <li>Is the address of this server in its settings, with coaps:// and the right port?</li>
          <li>Does a firewall let UDP through?</li>
        </ul>
      )}
    </div>
  );
}
