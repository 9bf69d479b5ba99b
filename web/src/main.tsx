import { createRoot } from "react-dom/client";
import { Application } from "./app/application";
import "./ui/tokens.css";
import "./ui/base.css";

const root = document.getElementById("root");
if (root) createRoot(root).render(<Application />);
