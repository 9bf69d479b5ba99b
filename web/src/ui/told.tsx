/** Who is told next if nobody takes an alert: "Jon Aas is called in 2 min". */
import { Ahead } from "./age";

export type Told = { to: string; channel: string; at: string | null };

export function NextTold({ told, className }: { told: Told; className?: string }) {
  return (
    <span className={className}>
      {isTold(told)} {told.at && <Ahead at={told.at} />}
    </span>
  );
}

export function isTold({ to, channel }: Pick<Told, "to" | "channel">): string {
  const who = to || "Somebody";
  switch (channel) {
    case "call":
    case "voice":
      return `${who} is called`;
    case "sms":
      return `${who} gets an SMS`;
    case "email":
      return `${who} gets an email`;
    case "":
      return `${who} is told`;
    default:
      return `${who} is told by ${channel}`;
  }
}
