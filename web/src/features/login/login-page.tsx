/** Who are you? Nothing of the application is loaded before this is answered. */
import { useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { useLogIn } from "../../api/actions";
import { Problem, rememberCsrf, why } from "../../api/client";
import { meQuery } from "../../api/queries";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Mark } from "../../ui/icon";
import { Wrong } from "../../ui/notice";
import css from "./login.module.css";

export function LoginPage() {
  const { next, ended } = useSearch({ from: "/login" });
  const logIn = useLogIn();
  const queries = useQueryClient();
  const router = useRouter();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  useEffect(() => {
    document.title = "Log in · Shoal";
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    logIn.mutate(
      { email, password },
      {
        onSuccess: (me) => {
          rememberCsrf(me.csrf);
          queries.setQueryData(meQuery.queryKey, me);
          router.history.push(inside(next));
        },
      },
    );
  };
  return (
    <main className={css.page}>
      <form className={`card ${css.card}`} onSubmit={submit}>
        <div className={css.head}>
          <Mark size={40} />
          <h1>Log in to Shoal</h1>
        </div>
        {ended && !logIn.isError && (
          <p className={css.note}>You were logged out. Log in again and you return to where you were.</p>
        )}
        <TextField
          label="Email"
          type="email"
          name="email"
          autoComplete="username"
          required
          autoFocus
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <TextField
          label="Password"
          type="password"
          name="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        {logIn.isError && <Wrong>{refusal(logIn.error)}</Wrong>}
        <Button type="submit" look="primary" isBusy={logIn.isPending}>
          {logIn.isPending ? "Logging in" : "Log in"}
        </Button>
      </form>
    </main>
  );
}

/** The same words for both, so that nobody learns who exists. */
function refusal(error: unknown): string {
  if (error instanceof Problem && error.status === 401) return "Email or password is wrong.";
  if (error instanceof Problem && error.status === 429) return tooMany(error.waitS);
  return `Nobody could be logged in ${why(error)}`;
}

/** How long to wait is said: whoever knows their password must not believe that it is wrong. */
export function tooMany(waitS: number): string {
  const wait = waitS > 90 ? `${Math.ceil(waitS / 60)} minutes` : `${waitS || 60} seconds`;
  return `Too many wrong passwords. Wait ${wait}, then try again.`;
}

/** Only ever back into the application: `//elsewhere` is another site. */
export function inside(next: string | undefined): string {
  return next?.startsWith("/") && !next.startsWith("//") && !next.startsWith("/\\") ? next : "/";
}
