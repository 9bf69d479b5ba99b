package shoal.interop;

import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;

/** Tells on standard output what the client library reports. */
final class Narrator extends LwM2mClientObserverAdapter {
    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    @Override
    public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String registration) {
        say("registered " + registration);
    }

    @Override
    public void onRegistrationFailure(
            LwM2mServer server, RegisterRequest request, ResponseCode code, String message, Exception cause) {
        say("refused " + (code == null ? cause : code.getName()));
    }

    @Override
    public void onRegistrationTimeout(LwM2mServer server, RegisterRequest request) {
        say("timeout register");
    }

    @Override
    public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
        say("updated");
    }

    @Override
    public void onUpdateFailure(
            LwM2mServer server, UpdateRequest request, ResponseCode code, String message, Exception cause) {
        say("update-refused " + (code == null ? cause : code.getName()));
    }
}
