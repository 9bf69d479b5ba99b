/** The pages about who is told: what they share is the question, the tabs, and one answer of the server. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Shown, why } from "../../api/client";
import { escalationQuery } from "../../api/queries";
import { Area as SharedArea } from "../../ui/area";
import { Tabs } from "../../ui/tabs";

export type Screen = Shown["EscalationScreen"];

const TABS = [
  ["/escalation", "Policies"],
  ["/settings/contacts", "Contacts"],
  ["/settings/channels", "Channels"],
] as const;

export function Area(page: { title: string; actions?: ReactNode; children: (screen: Screen) => ReactNode }) {
  const answer = useQuery(escalationQuery);
  const tabs = (
    <Tabs label="Who is told">
      {TABS.map(([to, text]) => (
        <Link key={to} to={to} activeOptions={{ includeSearch: false }}>
          {text}
        </Link>
      ))}
    </Tabs>
  );
  return <SharedArea {...page} tabs={tabs} answer={answer} why={why(answer.error)} />;
}
