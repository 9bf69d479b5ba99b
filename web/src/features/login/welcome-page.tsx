/** How the first person comes in: behind a link that works once. The secret stands behind the #, and no server log has it. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation, useRouter } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { useJoin } from "../../api/actions";
import { Problem, rememberCsrf, type Shown, why } from "../../api/client";
import { invitationQuery, meQuery } from "../../api/queries";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { TextField } from "../../ui/field";
import { Mark } from "../../ui/icon";
import { Wrong } from "../../ui/notice";
import { until } from "../../ui/words";
import css from "./login.module.css";

export function WelcomePage() {
  const secret = useLocation({ select: (location) => location.hash });
  const { data, error, isPending, refetch } = useQuery(invitationQuery(secret));
  useEffect(() => {
    document.title = "Welcome · Shoal";
  }, []);
  return (
    <main className={css.page}>
      <div className={`card ${css.card}`}>
        <div className={css.head}>
          <Mark size={40} />
          <h1>Welcome to Shoal</h1>
        </div>
        {isPending && <p className="muted">Looking at the link …</p>}
        {error && <Refused error={error} retry={() => void refetch()} />}
        {data && <Join secret={secret} invitation={data} />}
      </div>
    </main>
  );
}

function Join({ secret, invitation }: { secret: string; invitation: Shown["Invitation"] }) {
  const join = useJoin();
  const queries = useQueryClient();
  const router = useRouter();
  const now = useNow(60_000);
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [isShort, setShort] = useState(false);
  const least = invitation.password_characters_min;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // The server counts characters as people do, not as the field's own minimum would.
    const short = [...password].length < least;
    setShort(short);
    if (short) return;
    join.mutate(
      { secret, name, email, password },
      {
        onSuccess: (me) => {
          rememberCsrf(me.csrf);
          queries.clear();
          queries.setQueryData(meQuery.queryKey, me);
          router.history.push("/");
        },
      },
    );
  };
  if (join.error instanceof Problem && join.error.type === "invitation-over") return <Over />;
  return (
    <form className={css.fields} onSubmit={submit}>
      <p>
        You become {invitation.role === "administrator" ? "an administrator" : `a ${invitation.role}`} of{" "}
        <b>{invitation.tenant}</b>. Choose how you log in; the link works once, until{" "}
        {until(new Date(invitation.expires_at), now)}.
      </p>
      <TextField
        label="Name"
        name="name"
        autoComplete="name"
        required
        autoFocus
        maxLength={120}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <TextField
        label="Email"
        type="email"
        name="email"
        autoComplete="username"
        required
        wrong={taken(join.error)}
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <TextField
        label="Password"
        type="password"
        name="password"
        autoComplete="new-password"
        required
        hint={`At least ${least} characters. A few words are easy to remember.`}
        wrong={isShort ? `Too short: at least ${least} characters.` : null}
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      {join.isError && !taken(join.error) && <Wrong>Nothing was made {why(join.error)}</Wrong>}
      <Button type="submit" look="primary" isBusy={join.isPending}>
        {join.isPending ? "Letting you in" : "Begin"}
      </Button>
    </form>
  );
}

function Refused({ error, retry }: { error: Error; retry: () => void }) {
  if (error instanceof Problem && error.type === "invitation-over") return <Over />;
  return (
    <>
      <Wrong>The link could not be looked at {why(error)}</Wrong>
      <Button onClick={retry}>Try again</Button>
    </>
  );
}

function Over() {
  return (
    <>
      <p role="alert">
        <b>This link does not work any more.</b> It was used, it is older than a day, or a newer one took its place.
      </p>
      <p className="muted">
        Whoever runs Shoal gets another with <code>shoal admin invite</code>.
      </p>
      <p>
        <Link to="/login">Log in</Link>
      </p>
    </>
  );
}

function taken(error: Error | null): string | null {
  return error instanceof Problem && error.type === "conflict" ? "Somebody has this address already." : null;
}
