/** Three ways to read a code: the camera, a photo of it, or typing what stands beside it. Pictures stay in the browser. */
import { type ChangeEvent, useCallback, useEffect, useRef, useState } from "react";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Wrong } from "../../ui/notice";
import { usePhone } from "../../ui/phone";
import css from "./onboarding.module.css";
import { textIn, textInPhoto } from "./reader";

/** Between two looks at the picture of the camera: quick for a hand, and a phone stays cool. */
const LOOK_EVERY_MS = 200;

export function Scanner({ onText, typing }: { onText: (text: string) => void; typing: string }) {
  const isPhone = usePhone();
  const [isOn, setOn] = useState(isPhone && hasCamera());
  const [wrong, setWrong] = useState<string | null>(hasCamera() ? null : NO_CAMERA);
  const failed = useCallback((reason: string) => {
    setOn(false);
    setWrong(reason);
  }, []);
  return (
    <div className={css.scanner}>
      {isOn ? (
        <Camera onText={onText} onFailed={failed} />
      ) : (
        <div className={css.noCamera}>
          <Icon name="scan" size={40} />
          {wrong && <p role="status">{wrong}</p>}
          {hasCamera() && (
            <Button
              look="primary"
              onClick={() => {
                setWrong(null);
                setOn(true);
              }}
            >
              Use the camera
            </Button>
          )}
        </div>
      )}
      <Photo onText={onText} />
      <Typed label={typing} onText={onText} />
    </div>
  );
}

const NO_CAMERA = "A page may use the camera only over HTTPS. Take a photo of the code, or type it.";

function hasCamera(): boolean {
  return typeof navigator.mediaDevices?.getUserMedia === "function";
}

function Camera({ onText, onFailed }: { onText: (text: string) => void; onFailed: (reason: string) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const told = useRef(onText);
  told.current = onText;
  const [track, setTrack] = useState<MediaStreamTrack | null>(null);
  useEffect(() => {
    const ending = new AbortController();
    void look(video.current, ending.signal, setTrack, (text) => told.current(text)).catch((error: unknown) => {
      if (!ending.signal.aborted) onFailed(whyNoCamera(error));
    });
    return () => ending.abort();
  }, [onFailed]);
  return (
    <div className={css.camera}>
      <video ref={video} playsInline muted aria-label="What the camera sees" />
      <span className={css.frame} aria-hidden="true" />
      <p className={css.aim}>Hold the code into the frame.</p>
      {track && <Torch track={track} />}
    </div>
  );
}

/** Shows the camera and looks for a code until there is one, or nobody looks any more. */
async function look(
  video: HTMLVideoElement | null,
  ending: AbortSignal,
  onTrack: (track: MediaStreamTrack) => void,
  onText: (text: string) => void,
): Promise<void> {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
  };
  try {
    if (ending.aborted || !video) return;
    video.srcObject = stream;
    await video.play();
    const [track] = stream.getVideoTracks();
    if (track) onTrack(track);
    while (!ending.aborted) {
      const text = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA ? await textIn(video) : null;
      if (text && !ending.aborted) {
        navigator.vibrate?.(60);
        onText(text);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  } finally {
    stop();
  }
}

function whyNoCamera(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "The camera is not allowed for this page. Allow it in the browser's settings.";
  if (name === "NotFoundError") return "There is no camera here. Take a photo of the code, or type it.";
  return "The camera does not start; another program may hold it.";
}

function Torch({ track }: { track: MediaStreamTrack }) {
  const [isLit, setLit] = useState(false);
  const can = track.getCapabilities?.() as (MediaTrackCapabilities & { torch?: boolean }) | undefined;
  if (!can?.torch) return null;
  const turn = () => {
    const torch = { torch: !isLit } as MediaTrackConstraintSet;
    void track.applyConstraints({ advanced: [torch] }).then(() => setLit(!isLit));
  };
  return (
    <Button className={css.torch} aria-pressed={isLit} onClick={turn}>
      Light
    </Button>
  );
}

function Photo({ onText }: { onText: (text: string) => void }) {
  const [wrong, setWrong] = useState(false);
  const take = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (!file) return;
    const text = await textInPhoto(file);
    setWrong(text === null);
    if (text !== null) onText(text);
  };
  return (
    <div>
      <label className={css.photo}>
        <Icon name="photo" /> Photo of the code
        <input type="file" accept="image/*" className="sr" onChange={(event) => void take(event)} />
      </label>
      {wrong && <Wrong>No code can be read in this picture. Go closer, and keep the light from shining back.</Wrong>}
    </div>
  );
}

function Typed({ label, onText }: { label: string; onText: (text: string) => void }) {
  const [text, setText] = useState("");
  return (
    <form
      className={css.typed}
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim()) onText(text);
      }}
    >
      <TextField
        label={label}
        value={text}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
      />
      <Button type="submit">Use</Button>
    </form>
  );
}
