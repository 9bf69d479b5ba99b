package shoal.interop;

import java.util.HashMap;
import java.util.Map;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.util.datatype.ULong;

/** The OMA registry's test object (3442): a value of every type, single and multiple, and an execute with arguments. */
public final class TestObject extends SimpleInstanceEnabler {
    static final int OBJECT = 3442;
    private static final int EXECUTE = 3;
    private static final int STRINGS = 1110;
    private static final int INTEGERS = 1120;

    static final ObjectModel MODEL =
            new ObjectModel(
                    OBJECT,
                    "LwM2M v1.1 Test Object",
                    "a value of every type",
                    "1.0",
                    true,
                    false,
                    new ResourceModel(EXECUTE, "Exec With Arguments", Operations.E, false, false, Type.NONE, "", "", ""),
                    single(110, Type.STRING),
                    single(120, Type.INTEGER),
                    single(125, Type.UNSIGNED_INTEGER),
                    single(130, Type.FLOAT),
                    single(140, Type.BOOLEAN),
                    single(150, Type.OPAQUE),
                    single(160, Type.TIME),
                    single(170, Type.OBJLNK),
                    multiple(STRINGS, Type.STRING),
                    multiple(INTEGERS, Type.INTEGER));

    /** The one that the library makes when a server creates an instance. */
    public TestObject() {
        initialValues = new HashMap<>();
    }

    /** The one that is there from the start. */
    static TestObject first() {
        TestObject first = new TestObject();
        first.initialValues.putAll(
                Map.of(
                        110, "first",
                        120, -7L,
                        125, ULong.valueOf("18446744073709551615"),
                        130, 2.5,
                        140, true,
                        150, new byte[] {1, 2, 3},
                        170, new ObjectLink(3, 0),
                        STRINGS, Map.of(0, "zero", 3, "three"),
                        INTEGERS, Map.of(1, 10L, 2, 20L)));
        return first;
    }

    private static ResourceModel single(int id, Type type) {
        return new ResourceModel(id, "Value", Operations.RW, false, false, type, "", "", "");
    }

    private static ResourceModel multiple(int id, Type type) {
        return new ResourceModel(id, "Values", Operations.RW, true, false, type, "", "", "");
    }

    /** Only what it was given: the library would make up a value for every other resource. */
    @Override
    public void setModel(ObjectModel model) {
        super.setModel(model);
        resources.keySet().retainAll(initialValues.keySet());
    }

    @Override
    public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        if (resource != EXECUTE) {
            return super.execute(server, resource, arguments);
        }
        Narrator.say("executed /" + OBJECT + "/" + getId() + "/" + resource + " " + arguments.serialize());
        return ExecuteResponse.success();
    }
}
