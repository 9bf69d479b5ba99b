/** When a page as a whole cannot be shown. */
import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { why } from "../api/client";
import { Failed } from "../ui/notice";
import { Page } from "../ui/page";

export function Broken({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const retry = () => {
    reset();
    void router.invalidate();
  };
  return (
    <div className="card" style={{ margin: 16 }}>
      <Failed what="This page could not be loaded" why={why(error)} onRetry={retry} />
    </div>
  );
}

export function NotFound() {
  return (
    <main style={{ padding: 24 }}>
      <Page title="There is no such page" documentTitle="No such page">
        <p>
          The address does not lead anywhere. <Link to="/">Go to the fleet</Link>
        </p>
      </Page>
    </main>
  );
}
