/** A policy while somebody writes it: times are texts, as they are typed. */
import type { Shown } from "../../api/client";
import { minutesOf, secondsOf } from "./said";

export type StepDraft = { key: number; minutes: string; contacts: string[]; channels: string[]; isAtOnce: boolean };

export type Draft = {
  name: string;
  severities: string[];
  places: string[];
  steps: StepDraft[];
  acknowledge: string;
  resolve: string;
  repeat: string;
  every: string;
};

const FIRST = { after_s: 0, who: [], channels: [], at_once: false };

export function drafted(policy: Shown["PolicyShown"] | null): Draft {
  return {
    name: policy?.name ?? "",
    severities: policy?.severities ?? [],
    places: policy?.places.map((place) => place.id) ?? [],
    steps: (policy?.steps ?? [FIRST]).map((step, key) => ({
      key,
      minutes: minutesOf(step.after_s),
      contacts: step.who.map((who) => who.id),
      channels: step.channels,
      isAtOnce: step.at_once,
    })),
    acknowledge: minutesOf(policy?.acknowledge_s ?? null),
    resolve: minutesOf(policy?.resolve_s ?? null),
    repeat: String(policy?.repeat ?? 0),
    every: minutesOf(policy?.repeat_every_s ?? null),
  };
}

/** What is sent; null where a time is none. All else the server decides. */
export function written(draft: Draft): Shown["PolicyWritten"] | null {
  const times = [...draft.steps.map((step) => step.minutes), draft.acknowledge, draft.resolve, draft.every];
  if (times.some((time) => Number.isNaN(secondsOf(time))) || !/^\d{0,3}$/.test(draft.repeat.trim())) return null;
  return {
    name: draft.name,
    severities: draft.severities,
    places: draft.places,
    steps: draft.steps.map((step) => ({
      after_s: secondsOf(step.minutes) ?? 0,
      contacts: step.contacts,
      channels: step.channels,
      at_once: step.isAtOnce,
    })),
    acknowledge_s: secondsOf(draft.acknowledge),
    resolve_s: secondsOf(draft.resolve),
    repeat: Number(draft.repeat),
    repeat_every_s: secondsOf(draft.every),
  };
}
