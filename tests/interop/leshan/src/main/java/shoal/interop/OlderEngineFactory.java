package shoal.interop;

import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ScheduledExecutorService;
import org.eclipse.leshan.client.EndpointsManager;
import org.eclipse.leshan.client.bootstrap.BootstrapHandler;
import org.eclipse.leshan.client.engine.ClientEndpointNameProvider;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.engine.RegistrationEngine;
import org.eclipse.leshan.client.observer.LwM2mClientObserver;
import org.eclipse.leshan.client.request.UplinkRequestSender;
import org.eclipse.leshan.client.resource.LwM2mObjectTree;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.client.servers.ServersInfoExtractor;
import org.eclipse.leshan.client.util.LinkFormatHelper;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UplinkRequest;
import org.eclipse.leshan.core.response.ErrorCallback;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ResponseCallback;

/** Registers as LwM2M 1.0, which the library itself no longer does: its queue mode is a letter of the binding. */
final class OlderEngineFactory extends DefaultRegistrationEngineFactory {
    @Override
    public RegistrationEngine createRegistratioEngine(
            ClientEndpointNameProvider name,
            LwM2mObjectTree tree,
            EndpointsManager endpoints,
            UplinkRequestSender sender,
            BootstrapHandler bootstrap,
            LwM2mClientObserver observer,
            Map<String, String> attributes,
            Map<String, String> bootstrapAttributes,
            Set<ContentFormat> formats,
            ScheduledExecutorService executor,
            LinkFormatHelper links,
            ServersInfoExtractor servers) {
        return super.createRegistratioEngine(
                name,
                tree,
                endpoints,
                new OlderSender(sender),
                bootstrap,
                observer,
                attributes,
                bootstrapAttributes,
                formats,
                executor,
                links,
                servers);
    }

    private record OlderSender(UplinkRequestSender sender) implements UplinkRequestSender {
        @Override
        public <T extends LwM2mResponse> T send(LwM2mServer server, UplinkRequest<T> request, long timeoutMs)
                throws InterruptedException {
            return sender.send(server, older(request), timeoutMs);
        }

        @Override
        public <T extends LwM2mResponse> void send(
                LwM2mServer server,
                UplinkRequest<T> request,
                long timeoutMs,
                ResponseCallback<T> onResponse,
                ErrorCallback onError) {
            sender.send(server, older(request), timeoutMs, onResponse, onError);
        }

        @SuppressWarnings("unchecked")
        private static <T extends LwM2mResponse> UplinkRequest<T> older(UplinkRequest<T> request) {
            if (!(request instanceof RegisterRequest register)) {
                return request;
            }
            EnumSet<BindingMode> binding = EnumSet.of(BindingMode.U);
            if (Boolean.TRUE.equals(register.getQueueMode())) {
                binding.add(BindingMode.Q);
            }
            return (UplinkRequest<T>) new RegisterRequest(
                    register.getEndpointName(),
                    register.getLifetime(),
                    "1.0",
                    binding,
                    null,
                    register.getSmsNumber(),
                    register.getObjectLinks(),
                    register.getAdditionalAttributes());
        }
    }
}
