package shoal.interop;

import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** The Device object (3), as much of it as a server asks for. */
public final class PeerDevice extends BaseInstanceEnabler {
    private static final int MANUFACTURER = 0;
    private static final int MODEL = 1;
    private static final int FIRMWARE = 3;
    private static final int REBOOT = 4;
    private static final int BATTERY = 9;
    private static final int ERRORS = 11;
    private static final int TIMEZONE = 15;
    private static final int BINDINGS = 16;

    private String timezone = "Europe/Oslo";

    @Override
    public ReadResponse read(LwM2mServer server, int resource) {
        return switch (resource) {
            case MANUFACTURER -> ReadResponse.success(resource, "Leshan");
            case MODEL -> ReadResponse.success(resource, "headless peer");
            case FIRMWARE -> ReadResponse.success(resource, "1.0.0");
            case BATTERY -> ReadResponse.success(resource, 87L);
            case ERRORS -> ReadResponse.success(resource, Map.of(0, 0L), Type.INTEGER);
            case TIMEZONE -> ReadResponse.success(resource, timezone);
            case BINDINGS -> ReadResponse.success(resource, BindingMode.toString(EnumSet.of(BindingMode.U)));
            default -> super.read(server, resource);
        };
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
        if (resource != TIMEZONE) {
            return super.write(server, replace, resource, value);
        }
        timezone = (String) value.getValue();
        Narrator.say("written /3/0/" + resource + " " + timezone);
        fireResourceChange(resource);
        return WriteResponse.success();
    }

    @Override
    public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        if (resource != REBOOT) {
            return super.execute(server, resource, arguments);
        }
        Narrator.say("executed /3/0/" + resource);
        return ExecuteResponse.success();
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel model) {
        return List.of(MANUFACTURER, MODEL, FIRMWARE, REBOOT, BATTERY, ERRORS, TIMEZONE, BINDINGS);
    }
}
